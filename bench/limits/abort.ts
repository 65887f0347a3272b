import type { Limiter } from "../../src/limits/limiter.ts";
import { localLimiter } from "../../src/limits/local.ts";
import type { Measure } from "../harness/bench.ts";
import { heapInUse } from "../harness/heap.ts";
import { measured } from "../harness/measured.ts";
import { quartiles, type Quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";

const CALLS = 50_000;
const ROUNDS = 9;

interface Aborted {
  readonly us: Quartiles;
  /** What a call left on the heap, bytes. */
  readonly left: number;
}

export const measure: Measure = async () => {
  const results = { "one signal": await aborted(1), "signals of their own": await aborted(CALLS) };
  const bareUs = quartiles(Array.from({ length: ROUNDS }, bare)).median;
  const [worse, other] = Object.entries(results).toSorted(([, one], [, two]) => two.us.median - one.us.median) as [[string, Aborted], [string, Aborted]];
  const left = Math.max(worse[1].left, other[1].left);
  return { abort_us: measured(worse[1].us, `${worse[0]}; ${other[0]} ${shown(other[1].us.median)} µs; to abort a signal that has one listener takes Node ${shown(bareUs)} µs; ${shown(left)} bytes a call are left at most`) };
};

async function aborted(signals: number): Promise<Aborted> {
  const limiter = localLimiter({ maxConcurrent: 1, tokensPerMinute: 1e9, maxQueue: CALLS });
  await limiter.acquire();
  await round(limiter, signals);
  const before = await heapInUse();
  const took: number[] = [];
  for (let count = 0; count < ROUNDS; count++) took.push(await round(limiter, signals));
  return { us: quartiles(took), left: ((await heapInUse()) - before) / CALLS };
}

/** From the first abort until the last call has heard of it. @returns microseconds a call */
async function round(limiter: Limiter, signals: number): Promise<number> {
  const controllers = Array.from({ length: signals }, () => new AbortController());
  const calls = Array.from({ length: CALLS }, (_, call) => limiter.acquire({ tokens: 1_000, signal: (controllers[call % signals] as AbortController).signal }));
  const rejected = Promise.all(calls.map((call) => call.then(() => Promise.reject(new Error("This was served.")), () => undefined)));
  const started = performance.now();
  for (const controller of controllers) controller.abort();
  await rejected;
  const us = ((performance.now() - started) * 1_000) / CALLS;
  if (limiter.status().queued > 0) throw new Error("Some still wait.");
  return us;
}

/** What it takes without a limiter. */
function bare(): number {
  let heard = 0;
  const controllers = Array.from({ length: CALLS }, () => new AbortController());
  for (const { signal } of controllers) signal.addEventListener("abort", () => (heard += 1), { once: true });
  const started = performance.now();
  for (const controller of controllers) controller.abort();
  const us = ((performance.now() - started) * 1_000) / CALLS;
  if (heard < CALLS) throw new Error("Some were not heard.");
  return us;
}
