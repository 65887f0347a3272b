import { describe, expect, it } from "vitest";
import type { CallFacts } from "../../src/core/facts.ts";
import { costOf } from "../../src/core/price.ts";
import { addCost, resolvePricing } from "../../src/telemetry/cost.ts";

const facts = (more: Partial<CallFacts>): CallFacts => ({ id: "1", kind: "chat", mode: "invoke", startedAt: 0, durationMs: 1, attempts: [], model: "m", usage: { inputTokens: 1_000_000, outputTokens: 500_000 }, ...more });
const pricing = resolvePricing({ m: { input: 2, output: 8 }, c: { input: 2, output: 8, cachedInput: 0.5 } });

describe("cost", () => {
  it("counts cached prompt tokens at their own price, which is the input's unless given", () => {
    const usage = { inputTokens: 1_000, outputTokens: 0, cachedInputTokens: 400 };
    expect(costOf(usage, { input: 2, output: 8 })).toBeCloseTo(0.002, 12);
    expect(costOf(usage, { input: 2, output: 8, cachedInput: 0.5 })).toBeCloseTo(0.0014, 12);
    expect(pricing.get("m")?.cachedInput).toBe(2);
  });

  it.each<[string, Partial<CallFacts>, { costUsd?: number; savedUsd?: number }]>([
    ["who pays has a cost", {}, { costUsd: 6 }],
    ["a leader too", { coalesced: "leader" }, { costUsd: 6 }],
    ["a hit has savings", { cache: { status: "hit" } }, { costUsd: 0, savedUsd: 6 }],
    ["a follower too", { coalesced: "follower", cache: { status: "miss" } }, { costUsd: 0, savedUsd: 6 }],
    ["an unpriced model has neither", { model: "other" }, {}],
    ["a nameless one too", { model: undefined as never }, {}],
    ["no tokens, no cost", { usage: undefined as never }, {}],
  ])("%s", (_name, more, wanted) => {
    const call = facts(more);
    addCost(call, pricing);
    expect({ costUsd: call.costUsd, savedUsd: call.savedUsd }).toEqual({ costUsd: undefined, savedUsd: undefined, ...wanted });
  });
});
