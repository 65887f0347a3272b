import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { programPath } from "./binary.ts";
import { REDIS } from "./programs.ts";
import { freePort, HOST } from "./connection.ts";
import { eventually } from "./eventually.ts";
import { expectPong, redisCommand, startRedis } from "./redis.ts";
import { makeFolder, type Server, startAll, startServer, stopAll } from "./server.ts";

/** A master with one replica, and three sentinels that make the replica master when two of them have missed the master for half a second. */
export interface RedisSentinel extends AsyncDisposable {
  /** The master of the beginning; after a failover it is the other one's replica. */
  readonly master: Server;
  readonly replica: Server;
  readonly sentinels: readonly Server[];
  /** Under which the sentinels know the master. */
  readonly name: string;
  /** As ioredis wants them. */
  readonly sentinelAddresses: { host: string; port: number }[];
  stop(): Promise<void>;
}

const NAME = "mymaster";
const SENTINELS = 3;

/** Resolves when every sentinel knows the replica and the other sentinels, hence when the master may be killed. */
export async function startRedisSentinel(): Promise<RedisSentinel> {
  const servers: Server[] = [];
  const stop = (): Promise<void> => stopAll(servers);
  try {
    const master = await startRedis();
    servers.push(master);
    const replica = await startRedis({ args: ["--replicaof", HOST, String(master.port)] });
    servers.push(replica);
    await expectInfo(replica.port, "replication", /master_link_status:up/);
    const sentinels = await startAll(Array.from({ length: SENTINELS }, () => () => startSentinel(master.port)));
    servers.push(...sentinels);
    for (const { port } of sentinels) await expectInfo(port, "sentinel", new RegExp(`status=ok,address=\\S+,slaves=1,sentinels=${SENTINELS}`));
    const sentinelAddresses = sentinels.map(({ port }) => ({ host: HOST, port }));
    return { master, replica, sentinels, name: NAME, sentinelAddresses, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startSentinel(masterPort: number): Promise<Server> {
  const command = await programPath(REDIS);
  const port = await freePort();
  const folder = makeFolder("sentinel");
  const lines = [
    `port ${port}`,
    `bind ${HOST}`,
    `dir ${folder}`,
    `sentinel monitor ${NAME} ${HOST} ${masterPort} 2`,
    `sentinel down-after-milliseconds ${NAME} 500`,
    `sentinel failover-timeout ${NAME} 3000`,
  ];
  const file = join(folder, "sentinel.conf");
  writeFileSync(file, `${lines.join("\n")}\n`);
  return startServer({ name: "sentinel", command, args: [file, "--sentinel"], port, url: `redis://${HOST}:${port}`, folder, answers: () => expectPong(port) });
}

async function expectInfo(port: number, section: string, wanted: RegExp): Promise<void> {
  await eventually(async () => {
    const info = await redisCommand(port, `INFO ${section}`);
    if (wanted.test(info)) return true;
    throw new Error(info);
  }, { timeoutMs: 15_000 });
}
