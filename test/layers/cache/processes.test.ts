import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createPerf, withPerf } from "langchain-perf";
import { expect, it } from "vitest";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { startRedis } from "../../support/services.ts";
import { temporarySqlite } from "../support/temporary.ts";

const LOADER = new URL("../../cli/source-loader.mjs", import.meta.url).href;
const PROGRAM = fileURLToPath(new URL("fixtures/ends.ts", import.meta.url));

/** Runs the program; it has ended by itself when this resolves. */
async function run(redis: string, persistent: string): Promise<{ calls: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", "--import", LOADER, PROGRAM, redis, persistent], { timeout: 15_000 });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as { calls: number };
}

it("a process ends by itself with Redis and a file open, and the next one has its answers", async () => {
  await using redis = await startRedis();
  const { address } = temporarySqlite();
  expect((await run(redis.url, address)).calls).toBe(4);
  expect((await run(redis.url, address)).calls).toBe(1);
  await using perf = createPerf({ cache: { persistent: address, namespace: "ends" } });
  const model = new FakeChatModel();
  await withPerf(model, perf).batch(["a", "b", "c"]);
  expect(model.counts.chat).toBe(0);
});

it("a process ends by itself where Redis is away", async () => {
  const redis = await startRedis();
  await redis.stop();
  expect((await run(redis.url, temporarySqlite().address)).calls).toBe(4);
});
