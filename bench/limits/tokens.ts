import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { type TokenCounter, tokenCounter } from "../../src/limits/tokens/counter.ts";
import type { Measure } from "../harness/bench.ts";
import { quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";
import { textOf } from "../harness/text.ts";

const MODEL = "gpt-4o";
const ROUNDS = 7;
const QUESTIONS = 200;
/** After this its thread is there, and reads the tables. */
const THREAD_STARTS_MS = 60;

/** The first question of the process comes when its thread has just been started, and is not ready. */
export const measure: Measure = async () => {
  const prompts = [["1 KB", 2 ** 10], ["100 KB", 100 * 2 ** 10], ["4 MB", 2 ** 22]] as const;
  const first = textOf(2 ** 22, "first");
  let counter: TokenCounter | undefined;
  const startMs = await blockedBy(async () => {
    counter = tokenCounter();
    await delay(THREAD_STARTS_MS);
  });
  if (!counter) throw new Error("There is no counter.");
  const open = counter;
  const blocked: [what: string, ms: number][] = [["the first one, 4 MB", await blockedBy(() => ready(open, first))]];
  for (const [what, bytes] of prompts) {
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const text = textOf(bytes, round);
      rounds.push(await blockedBy(async () => void (await open.count([text], MODEL))));
    }
    blocked.push([what, quartiles(rounds).median]);
  }
  const tookUs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) tookUs.push(await microsecondsEach(open, round));
  open.close();
  return {
    count_start_ms: { value: startMs, note: "once, when a perf is made that counts" },
    count_block_ms: { value: Math.max(...blocked.map(([, ms]) => ms)), note: blocked.map(([what, ms]) => `${what}: ${shown(ms)} ms`).join(", ") },
    count_us_2k: { value: quartiles(tookUs).median, note: "one after the other, each with its trip to the thread and back" },
  };
};

/** Asks until the thread counts. */
async function ready(counter: TokenCounter, text: string): Promise<void> {
  for (let counted = counter.count([text], MODEL); typeof counted === "number"; counted = counter.count(["ready?"], MODEL)) await delay(5);
}

/** The longest delay of the event loop, in milliseconds, while this was done. By timers: a loop that never rests would have to share its core. */
async function blockedBy(work: () => Promise<void>): Promise<number> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  // A few ticks before and after, so that a delay at either end is seen.
  await delay(10);
  await work();
  await delay(10);
  delays.disable();
  return delays.max / 1e6;
}

async function microsecondsEach(counter: TokenCounter, round: number): Promise<number> {
  const texts = Array.from({ length: QUESTIONS }, (_, at) => textOf(2 * 2 ** 10, `${round} ${at}`));
  const since = performance.now();
  for (const text of texts) await counter.count([text], MODEL);
  return ((performance.now() - since) * 1_000) / QUESTIONS;
}
