import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AIMessageChunk } from "@langchain/core/messages";
import { createPerf, withPerf } from "langchain-perf";
import { expect, it } from "vitest";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { startMemcached, startPostgres, startRedis } from "../../support/services.ts";
import { Steady } from "./steady.ts";

it("a program whose Postgres restarts under load loses neither a call nor what it was answered meanwhile", async () => {
  await using postgres = await startPostgres();
  await using program = new Steady({ persistent: postgres.url });
  await program.usesItsTier();
  const before = await program.askAnew(50);
  await postgres.kill();
  const asked = await program.askAnew(50);
  await postgres.start();
  await program.usesItsTier();
  await program.has([...before, ...asked]);
}, 40_000);

it("a program whose SQLite file is overwritten with garbage while it is open fails no call, gives no garbage, and uses a file again", async () => {
  const folder = await mkdtemp(join(tmpdir(), "langchain-perf-chaos-"));
  const file = join(folder, "cache.db");
  {
    await using program = new Steady({ persistent: `sqlite:${file}` });
    await program.usesItsTier();
    // More than SQLite keeps in its own memory, 2 MB.
    const known = await program.askAnew(8_000);
    await program.perf.flush();
    const failures: string[] = [];
    program.perf.on("store-error", ({ operation }) => failures.push(operation));
    for (const name of [file, `${file}-wal`]) await writeFile(name, Buffer.alloc((await stat(name)).size, "garbage"));
    for (const id of known) await program.ask(id);
    expect(failures).not.toEqual([]);
    await program.usesItsTier();
    await program.has(await program.askAnew(20));
  }
  await rm(folder, { recursive: true });
});

it("a program whose memcached evicts and restarts gets on with what is left", async () => {
  await using memcached = await startMemcached({ memoryMb: 2 });
  await using program = new Steady({ persistent: `memcached://${memcached.url}` });
  await program.usesItsTier();
  const first = await program.askAnew(100);
  // Far more than two megabytes hold.
  for (let round = 0; round < 60; round += 1) {
    await program.askAnew(200);
    await program.perf.flush();
  }
  const left = await Promise.all(first.map((id) => program.ask(id)));
  expect(left.filter(Boolean).length).toBeLessThan(first.length);
  await program.usesItsTier();
  await memcached.kill();
  await program.askAnew(50);
  await memcached.start();
  await program.usesItsTier();
}, 40_000);

it("a stream that breaks after half is stored in no tier, and the next one is whole", async () => {
  await using redis = await startRedis();
  await using perf = createPerf({ cache: { redis: redis.url }, coalesce: true });
  let isBroken = true;
  const fake = new FakeChatModel({ failure: () => (isBroken ? new Error("The line was cut.") : undefined), failAfterChunks: 2 });
  const model = withPerf(fake, perf);
  const parts: AIMessageChunk[] = [];
  const read = async (): Promise<void> => {
    for await (const part of await model.stream("one two three four five")) parts.push(part);
  };
  await expect(read()).rejects.toThrow("The line was cut.");
  expect(parts.length).toBeGreaterThan(0);
  await perf.flush();
  expect(await Array.fromAsync(perf.cache.keys())).toEqual([]);
  isBroken = false;
  parts.length = 0;
  await read();
  expect(parts.reduce((whole, part) => whole.concat(part)).text).toContain("You said: one two three four five");
  expect(fake.counts.chat).toBe(2);
  await perf.flush();
  expect((await Array.fromAsync(perf.cache.keys())).map(({ tier }) => tier).toSorted()).toEqual(["memory", "redis"]);
});
