import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { createPerf, withPerf } from "langchain-perf";
import { eventually, startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";

const CALLERS = 1_000;
const ENTRIES = "langchain-perf:e:";

export const measure: Measure = async () => {
  await using redis = await startRedis();
  await using perf = createPerf({ cache: { redis: redis.url }, coalesce: true });
  const fake = new FakeModel({ answer: () => delay(20, "An answer.") });
  const model = withPerf(fake, perf);
  await model.invoke("A question before, so that everything is connected.");
  await perf.flush();
  const seen = await watch(redis.url);
  await Promise.all(Array.from({ length: CALLERS }, () => model.invoke("The same question.")));
  await perf.flush();
  const commands = await seen.stop();
  const reads = commands.filter(([name]) => name?.toLowerCase() === "get");
  const note = `upstream calls ${fake.calls - 1}; commands ${commands.map(([name]) => name).join(", ")}`;
  return { far_reads_equal_misses: { value: reads.length, note }, far_writes_equal_misses: { value: commands.length - reads.length, note } };
};

/** The commands of clients, and not of scripts, that name entries. */
async function watch(url: string): Promise<{ stop(): Promise<string[][]> }> {
  const client = new Redis(url);
  const monitor = await client.monitor();
  const commands: string[][] = [];
  let ended = false;
  monitor.on("monitor", (_time: string, args: string[], source: string) => {
    if (args[1] === "the end") ended = true;
    if (source !== "lua" && args.some((arg) => arg.startsWith(ENTRIES))) commands.push(args);
  });
  return {
    async stop() {
      await client.echo("the end");
      await eventually(() => ended);
      monitor.disconnect();
      client.disconnect();
      return commands;
    },
  };
}
