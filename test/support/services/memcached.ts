import { unprivileged } from "./account.ts";
import { programPath } from "./binary.ts";
import { MEMCACHED } from "./programs.ts";
import { converse, freePort, HOST } from "./connection.ts";
import { makeFolder, type Server, startServer } from "./server.ts";

export interface MemcachedOptions {
  /** Memory for items, in MB. @default 64 */
  readonly memoryMb?: number;
  /** Further arguments of `memcached`. */
  readonly args?: readonly string[];
}

/** A Memcached of our own. Its `url` is `host:port`, as memjs wants it. */
export async function startMemcached({ memoryMb = 64, args = [] }: MemcachedOptions = {}): Promise<Server> {
  const command = await programPath(MEMCACHED);
  const port = await freePort();
  const account = unprivileged("memcache", "nobody");
  const base = ["-l", HOST, "-p", String(port), "-U", "0", "-m", String(memoryMb), "-t", "2"];
  const answers = (): Promise<unknown> => converse(port, "version\r\n", (reply) => /^VERSION .*\r\n$/.test(reply.toString("latin1")));
  return startServer({ name: "memcached", command, args: [...base, ...args], port, url: `${HOST}:${port}`, folder: makeFolder("memcached", account), account, answers });
}
