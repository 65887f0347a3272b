import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LATENCY_PROFILES } from "langchain-perf/testing";
import { successfulCalls } from "../../bench/data/llmperf-source.ts";
import { resolveLatency } from "../../src/testing/latency.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { ask, simulator } from "./support.ts";

const measured = successfulCalls(readFileSync(new URL("../../bench/data/llmperf-latency.tar.gz", import.meta.url)));

function draws(latency: unknown, tokens: number, count: number, speed = 1): { firstTokenMs: number; interTokenMs: number; totalMs: number }[] {
  const [draw, random] = [resolveLatency(latency, speed), seededRandom(7)];
  return Array.from({ length: count }, () => draw(tokens, random)).map((timing) => ({ ...timing, totalMs: timing.firstTokenMs + timing.interTokenMs * (tokens - 1) }));
}

function sorted(values: number[]): number[] {
  return values.sort((left, right) => left - right);
}

function quantile(ordered: number[], share: number): number {
  return ordered[Math.floor(share * (ordered.length - 1))]!;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe("measured latencies", () => {
  it("are those of all pairs in the source", () => {
    expect([...LATENCY_PROFILES].sort()).toEqual([...measured.keys()].sort());
    expect(LATENCY_PROFILES).toHaveLength(19);
  });

  it.each([...LATENCY_PROFILES])("of %s have the quantiles of the source", (pair) => {
    const drawn = draws(pair, 100, 20_000);
    for (const [field, source] of [["firstTokenMs", "ttftMs"], ["interTokenMs", "interTokenMs"]] as const) {
      const values = sorted(measured.get(pair)!.map((call) => call[source]));
      const sample = sorted(drawn.map((timing) => timing[field]));
      for (const share of [0.1, 0.25, 0.5, 0.75, 0.9]) {
        // Three points lower or higher: the draw is a sample; 0.6 ms: the table is rounded.
        expect(quantile(sample, share)).toBeGreaterThanOrEqual(quantile(values, share - 0.03) - 0.6);
        expect(quantile(sample, share)).toBeLessThanOrEqual(quantile(values, share + 0.03) + 0.6);
      }
    }
  });

  it("keep the two times of a call together", () => {
    const pairs = new Set(measured.get("replicate_7b")!.map((call) => `${Math.round(call.ttftMs)}/${Number(call.interTokenMs.toFixed(1))}`));
    expect(draws("replicate_7b", 10, 500).every((timing) => pairs.has(`${timing.firstTokenMs}/${timing.interTokenMs}`))).toBe(true);
  });
});

describe("set latencies", () => {
  it.each([["agent", 1_500, 800], [{ meanMs: 200, sdMs: 50 }, 200, 50]])("%j have their mean and standard deviation over the whole answer", (latency, expectedMean, expectedSd) => {
    for (const tokens of [1, 50]) {
      const totals = draws(latency, tokens, 50_000).map((timing) => timing.totalMs);
      const average = mean(totals);
      const sd = Math.sqrt(mean(totals.map((total) => (total - average) ** 2)));
      expect(average / expectedMean).toBeCloseTo(1, 1);
      expect(sd / expectedSd).toBeCloseTo(1, 1);
      expect(Math.min(...totals)).toBeGreaterThan(0);
    }
  });

  it("are fixed, and shortened by speed", () => {
    expect(draws({ ttftMs: 100, interTokenMs: 20 }, 5, 1, 10)[0]).toEqual({ firstTokenMs: 10, interTokenMs: 2, totalMs: 18 });
    expect(draws({ meanMs: 0, sdMs: 0 }, 5, 1)[0]!.totalMs).toBe(0);
    expect(draws("none", 5, 1)[0]!.totalMs).toBe(0);
  });
});

describe("an answer with latency", () => {
  it("comes token by token when streamed, in one piece after all of it when not", async () => {
    const provider = await simulator({ latency: { ttftMs: 40, interTokenMs: 20 } });
    const response = await ask(provider, "x", { model: "chunks-5", stream: true });
    const parts: string[] = [];
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) parts.push(part);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts.join("").match(/"content":"[^"]+"/g)).toHaveLength(5);
    await ask(provider, "x", { model: "chunks-5" });
    const [streamed, plain] = provider.requests;
    expect(streamed!.ttftMs).toBeGreaterThanOrEqual(38);
    expect(streamed!.durationMs).toBeGreaterThanOrEqual(118);
    expect(plain!.ttftMs).toBeGreaterThanOrEqual(118);
  });
});
