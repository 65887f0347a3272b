import { localLimiter } from "../../src/limits/local.ts";
import type { Permit } from "../../src/limits/limiter.ts";
import type { Measure } from "../harness/bench.ts";
import { heapInUse } from "../harness/heap.ts";
import { measured } from "../harness/measured.ts";
import { quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";

const CALLS = 100_000;
const ROUNDS = 9;

interface Round {
  readonly joinMs: number;
  readonly admitMs: number;
  readonly bytes: number;
}

/** All places are taken while calls queue up; then each call that is served gives its place back at once, which serves the next. */
export const measure: Measure = async () => {
  await round();
  const rounds: Round[] = [];
  for (let count = 0; count < ROUNDS; count++) rounds.push(await round());
  const joinUs = quartiles(rounds.map(({ joinMs }) => (joinMs * 1_000) / CALLS)).median;
  return {
    queued_per_second: measured(quartiles(rounds.map(({ admitMs }) => (CALLS * 1_000) / admitMs)), `joining takes ${shown(joinUs)} µs a call besides`),
    queued_bytes: measured(quartiles(rounds.map(({ bytes }) => bytes / CALLS)), "with a deadline, and with the promise that is waited for"),
  };
};

async function round(): Promise<Round> {
  const limiter = localLimiter({ maxConcurrent: 1, requestsPerMinute: 1e9, tokensPerMinute: 1e12, maxQueue: CALLS });
  const held = await limiter.acquire();
  const permits: Promise<Permit>[] = Array.from({ length: CALLS });
  const before = await heapInUse();
  const joining = performance.now();
  for (let call = 0; call < CALLS; call++) permits[call] = limiter.acquire({ tokens: 500 + (call % 1_000) });
  const joinMs = performance.now() - joining;
  const bytes = (await heapInUse()) - before;
  // Those who wait are there before the clock starts.
  const served = Promise.all(permits.map(async (permit) => (await permit).release({ tokens: 400 })));
  const admitting = performance.now();
  held.release();
  await served;
  const admitMs = performance.now() - admitting;
  const { queued, active } = limiter.status();
  if (queued + active > 0) throw new Error("Not all were served.");
  return { joinMs, admitMs, bytes };
}
