import { describe, expect, it } from "vitest";
import type { CallFacts } from "../../src/core/facts.ts";
import { StatsWindow } from "../../src/telemetry/window.ts";

function windowAt(start = 0): { window: StatsWindow; advance(ms: number): void; add(more?: Partial<CallFacts>): void } {
  let now = start;
  const window = new StatsWindow({ now: () => 0, elapsed: () => now });
  return {
    window,
    advance: (ms) => void (now += ms),
    add: (more) => window.add({ id: "1", kind: "chat", mode: "invoke", startedAt: 0, durationMs: 10, attempts: [], ...more }),
  };
}

describe("StatsWindow", () => {
  it("is empty at first", () => {
    expect(windowAt().window.snapshot()).toEqual({ windowMs: 60_000, kinds: {} });
  });

  it("counts calls, errors, tokens and cost by kind", () => {
    const { window, add } = windowAt();
    add({ cache: { status: "miss" }, usage: { inputTokens: 10, outputTokens: 5 }, costUsd: 2 });
    add({ cache: { status: "hit" }, usage: { inputTokens: 10, outputTokens: 5 }, costUsd: 0, savedUsd: 2 });
    add({ cache: { status: "miss" }, coalesced: "follower", usage: { inputTokens: 10, outputTokens: 5 }, savedUsd: 2 });
    add({ cache: { status: "bypass" }, error: { code: "429", message: "m" } });
    add({ kind: "embeddings" });
    const { chat, embeddings } = window.snapshot().kinds;
    expect(chat).toMatchObject({ calls: 4, errors: 1, hits: 1, misses: 2, coalesced: 1, inputTokens: 10, outputTokens: 5, costUsd: 2, savedUsd: 4 });
    expect(chat?.hitRate).toBeCloseTo(2 / 3, 10);
    expect(chat?.callsPerSecond).toBeCloseTo(4 / 60, 10);
    expect(embeddings).toMatchObject({ calls: 1, hits: 0, misses: 0, hitRate: 0 });
  });

  it("counts followers as hits where nothing is cached", () => {
    const { window, add } = windowAt();
    add({ coalesced: "leader" });
    for (const _ of [1, 2, 3]) add({ coalesced: "follower" });
    expect(window.snapshot().kinds.chat?.hitRate).toBeCloseTo(0.75, 10);
  });

  it("gives percentiles within two digits", () => {
    const { window, add } = windowAt();
    for (let n = 1; n <= 1_000; n += 1) add({ durationMs: n });
    const { p50, p95, p99 } = window.snapshot().kinds.chat!;
    expect(p50).toBeGreaterThan(490);
    expect(p50).toBeLessThan(510);
    expect(p95).toBeGreaterThan(931);
    expect(p95).toBeLessThan(969);
    expect(p99).toBeGreaterThan(970);
    expect(p99).toBeLessThan(1_010);
  });

  it("takes durations of nothing and of hours", () => {
    const { window, add, advance } = windowAt();
    add({ durationMs: 0 });
    advance(10_000);
    add({ durationMs: 100 * 3_600_000 });
    add({ durationMs: 5 });
    const { calls, p50, p99 } = window.snapshot().kinds.chat!;
    expect(calls).toBe(3);
    expect(p50).toBeCloseTo(5, 0);
    expect(p99).toBeGreaterThan(3_500_000);
  });

  it("rolls: what is older than a minute is gone, slice by slice", () => {
    const { window, add, advance } = windowAt(123_456);
    add();
    advance(30_000);
    add();
    expect(window.snapshot().kinds.chat?.calls).toBe(2);
    advance(31_000);
    expect(window.snapshot().kinds.chat?.calls).toBe(1);
    advance(30_000);
    expect(window.snapshot().kinds).toEqual({});
    add();
    expect(window.snapshot().kinds.chat?.calls).toBe(1);
  });

  it("holds no more than a minute's slices", () => {
    const { window, add, advance } = windowAt();
    for (let n = 0; n < 1_000; n += 1) {
      add();
      advance(10_000);
    }
    expect(window.snapshot().kinds.chat?.calls).toBeLessThanOrEqual(6);
  });
});
