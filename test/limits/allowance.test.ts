import { describe, expect, it } from "vitest";
import { resolveWith } from "../../src/core/options.ts";
import { Allowance } from "../../src/limits/allowance.ts";
import { resolveDemand, type Amounts, type FullDemand } from "../../src/limits/demand.ts";
import type { Demand } from "../../src/limits/limiter.ts";
import { readLimits, type LimiterOptions } from "../../src/limits/options.ts";
import { VirtualTime } from "../support/virtual-time.ts";

const demandOf = (demand: Demand = {}): FullDemand => resolveDemand(demand, Infinity, 0);

function allowanceOf(options: LimiterOptions): { readonly allowance: Allowance; readonly ended: [Amounts, number][] } {
  const ended: [Amounts, number][] = [];
  const allowance = new Allowance({
    limiter: "test", clock: new VirtualTime(), limits: resolveWith("", options, readLimits),
    ended: (_demand, truth, time) => ended.push([truth, time]),
  });
  return { allowance, ended };
}

describe("an allowance", () => {
  it("is a part of the limits when somebody else shares them out, and all of them again", () => {
    const { allowance } = allowanceOf({ requestsPerMinute: 100, maxConcurrent: 4 });
    allowance.rescale(0.5);
    for (let call = 0; call < 2; call++) allowance.admit(demandOf(), 0);
    expect(allowance.status()).toMatchObject({ concurrency: { limit: 2 }, used: { requests: 0.04 } });
    expect(allowance.waitMs(demandOf(), 10_000)).toBe(Infinity);
    allowance.rescale(1);
    expect(allowance.waitMs(demandOf(), 10_000)).toBe(0);
  });

  it("lets alone in what is larger than its part", () => {
    const { allowance } = allowanceOf({ tokensPerMinute: 1_000 });
    allowance.rescale(0.25);
    expect(allowance.waitMs(demandOf({ tokens: 600 }), 0)).toBe(0);
    allowance.admit(demandOf({ tokens: 600 }), 0);
    expect(allowance.waitMs(demandOf({ tokens: 10 }), 0)).toBeGreaterThan(60_000);
  });

  it("counts what does not fit, and who has a place", () => {
    const { allowance } = allowanceOf({ tokensPerMinute: 1_000, maxConcurrent: 1 });
    const permits = [allowance.admit(demandOf({ tokens: 900 }), 0), allowance.admit(demandOf({ tokens: 900, isNested: true }), 0)];
    expect(allowance.status()).toMatchObject({ active: 2, used: { tokens: 1.8 } });
    expect([allowance.held, allowance.hasPlace(demandOf()), allowance.hasPlace(demandOf({ isNested: true }))]).toEqual([1, false, true]);
    for (const permit of permits) permit.release({ tokens: 100 });
    expect(allowance.status()).toMatchObject({ active: 0, used: { tokens: 0.2 } });
    expect([allowance.held, allowance.hasPlace(demandOf())]).toEqual([0, true]);
  });

  it("tells what a request took, nonsense left out, and when it was admitted by another clock", () => {
    const { allowance, ended } = allowanceOf({});
    const permit = allowance.admit(demandOf({ tokens: 10, costUsd: 0.1 }), 0, 777);
    permit.release({ tokens: Number.NaN, costUsd: 0.2 });
    permit.release();
    expect(ended).toEqual([[{ requests: 1, tokens: 10, costUsd: 0.2 }, 777]]);
  });
});
