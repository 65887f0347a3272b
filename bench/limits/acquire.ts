import Bottleneck from "bottleneck";
import { localLimiter } from "../../src/limits/local.ts";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type Side } from "../harness/paired.ts";

const DEMAND = { tokens: 1_366 };

/** So much is allowed that nobody waits; each side is asked for one call after the other, and gives the place back before the next. */
export const measure: Measure = async () => {
  const limiter = localLimiter({ requestsPerMinute: 1e12, tokensPerMinute: 1e15, maxConcurrent: 100 });
  const own: Side = {
    async run(calls) {
      for (let call = 0; call < calls; call++) (await limiter.acquire(DEMAND)).release({ tokens: 1_000 });
    },
  };
  const alone = await paired({ bare: nothing, wrapped: own, calls: 20_000, rounds: 51, warmUpRounds: 10 });
  const bottleneck = new Bottleneck({ maxConcurrent: 100, reservoir: 1e12 });
  const theirs: Side = {
    async run(calls) {
      for (let call = 0; call < calls; call++) await bottleneck.schedule(async () => undefined);
    },
  };
  const together = await paired({ bare: theirs, wrapped: own, calls: 40, rounds: 21, warmUpRounds: 3 });
  return {
    acquire_us: measured(alone.wrappedUs, "requests, tokens and places limited, tokens put right"),
    acquire_vs_bottleneck: measured(together.ratio, times(together, "Bottleneck", "own")),
  };
};

const nothing: Side = {
  async run(calls) {
    for (let call = 0; call < calls; call++) await undefined;
  },
};
