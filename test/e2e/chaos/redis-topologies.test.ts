import { Cluster, Redis } from "ioredis";
import { expect, it } from "vitest";
import { redisCommand, startRedisCluster, startRedisSentinel } from "../../support/services.ts";
import { Steady } from "./steady.ts";

it("a program with a client of its own goes through a Sentinel failover without a failed call, and uses the new master", async () => {
  await using servers = await startRedisSentinel();
  const client = new Redis({ sentinels: [...servers.sentinelAddresses], name: servers.name, maxRetriesPerRequest: 1 });
  client.on("error", () => {});
  await using program = new Steady({ redis: client });
  await program.usesItsTier();
  await servers.master.kill();
  const asked = await program.askAnew(20);
  await program.usesItsTier(30_000);
  for (const id of asked) await program.ask(id);
  expect(await redisCommand(servers.replica.port, "DBSIZE")).not.toBe(":0\r\n");
  client.disconnect();
}, 60_000);

it("a program with a client of a Cluster of three masters goes on when one of them dies, and uses it again when it is back", async () => {
  await using servers = await startRedisCluster({ args: ["--cluster-require-full-coverage", "no"] });
  const client = new Cluster(servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port })), { redisOptions: { maxRetriesPerRequest: 1 } });
  client.on("error", () => {});
  await using program = new Steady({ redis: client });
  await program.usesItsTier();
  const known = await program.askAnew(30);
  await program.has(known);
  await servers.nodes[1]?.kill();
  await program.askAnew(30);
  await servers.nodes[1]?.start();
  await program.usesItsTier(30_000);
  // Of the entries some died with their master; whatever is asked gets an answer, and is kept.
  for (const id of known) await program.ask(id);
  await program.has(known);
  client.disconnect();
}, 60_000);
