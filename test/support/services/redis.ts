import { programPath } from "./binary.ts";
import { REDIS } from "./programs.ts";
import { converse, freePort, HOST } from "./connection.ts";
import { makeFolder, type Server, startServer } from "./server.ts";

export interface RedisOptions {
  /** Further arguments of `redis-server`; they win, e.g. `["--appendonly", "yes"]`. */
  readonly args?: readonly string[];
}

/** A Redis of our own. It persists nothing unless the arguments say so: after `kill` and `start` it is empty. */
export async function startRedis({ args = [] }: RedisOptions = {}): Promise<Server> {
  const command = await programPath(REDIS);
  const port = await freePort();
  const folder = makeFolder("redis");
  const base = ["--port", String(port), "--bind", HOST, "--dir", folder, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
  return startServer({ name: "redis", command, args: [...base, ...args], port, url: `redis://${HOST}:${port}`, folder, answers: () => expectPong(port) });
}

/** One command to one server, e.g. `CLUSTER INFO`; gives the text of its reply. Rejects with Redis' own words when the reply is an error. */
export async function redisCommand(port: number, command: string): Promise<string> {
  const reply = (await converse(port, `${command}\r\n`, isWholeReply)).toString();
  if (reply.startsWith("-")) throw new Error(`Redis on port ${port} answered "${command}" with: ${reply.slice(1).trim()}`);
  return reply;
}

/** Rejects until the server on this port is ready for commands. */
export async function expectPong(port: number): Promise<void> {
  const reply = await redisCommand(port, "PING");
  if (reply !== "+PONG\r\n") throw new Error(`Redis on port ${port} answered PING with ${JSON.stringify(reply)}.`);
}

/** Of replies that are one line or one text, as all are that are asked for here. */
function isWholeReply(reply: Buffer): boolean {
  const line = reply.indexOf("\r\n");
  if (line < 0) return false;
  const length = reply[0] === "$".charCodeAt(0) ? Number(reply.toString("latin1", 1, line)) : -1;
  return length < 0 || reply.length >= line + 2 + length + 2;
}
