import { describe, expect, it } from "vitest";
import type { CallFacts } from "../../src/core/facts.ts";
import type { Answer, Call, Kind, Mode, Next } from "../../src/core/layer.ts";
import { Coalesce } from "../../src/layers/coalesce.ts";
import { Faucet, settle } from "./support/gate.ts";

/** A kind whose parts are objects with a text; a snapshot is another object. */
const textKind = {
  name: "chat",
  convert: ({ parts }: Answer) => (parts as { text: string }[]).map(({ text }) => ({ text: `converted ${text}` })),
  packer: () => (part: unknown) => ({ ...(part as object) }),
} as unknown as Kind;

interface Asked {
  key?: string | undefined;
  mode?: Mode;
  signal?: AbortSignal;
  held?: string[];
  refresh?: boolean;
}

function call({ key = "k", mode = "stream", signal, held = [], refresh = false }: Asked = {}): Call {
  const facts: CallFacts = { id: `call ${Math.random()}`, kind: "chat", mode: mode === "invoke" ? "invoke" : "stream", startedAt: 0, durationMs: 0, attempts: [] };
  const made = { backend: {}, kind: textKind, mode, input: "q", key, identity: key, signal, facts, held, control: { cache: refresh ? "refresh" : "use" } };
  return { ...made, with: (changes: object) => ({ ...made, ...changes }) } as unknown as Call;
}

/** What is upstream: every call of it, and what it was given. */
function upstream(): { next: Next; calls: Call[]; taps: Faucet<object>[] } {
  const calls: Call[] = [];
  const taps: Faucet<object>[] = [];
  return {
    calls,
    taps,
    next(asked) {
      calls.push(asked);
      const tap = new Faucet<object>();
      taps.push(tap);
      return tap;
    },
  };
}

const read = (parts: AsyncIterable<unknown>): Promise<{ text: string }[]> => Array.fromAsync(parts as AsyncIterable<{ text: string }>);

describe("Coalesce", () => {
  it("has one flight per key while it lasts, and none afterwards", async () => {
    const layer = new Coalesce();
    const { next, calls, taps } = upstream();
    const readings = ["a", "b", "a"].map((key) => read(layer.handle(call({ key }), next)));
    expect(layer.size).toBe(2);
    expect(calls).toHaveLength(2);
    for (const tap of taps) {
      tap.push({ text: "x" });
      tap.end();
    }
    const [one, , other] = await Promise.all(readings);
    expect(layer.size).toBe(0);
    expect(other).toEqual(one);
    expect(other![0]).not.toBe(one![0]);
  });

  it("passes on what must not be shared", () => {
    const layer = new Coalesce();
    const { next, calls } = upstream();
    for (const asked of [{ key: "k" }, { key: "k", held: ["k"] }]) layer.handle(call(asked), next);
    layer.handle({ ...call(), key: undefined } as Call, next);
    layer.handle({ ...call(), key: undefined } as Call, next);
    layer.handle(call({ refresh: true }), next);
    expect(calls).toHaveLength(5);
    expect(layer.size).toBe(2);
  });

  it("lets a follower in whose reader starts only when the leader has gone", async () => {
    const layer = new Coalesce();
    const { next, taps } = upstream();
    const leader = layer.handle(call(), next)[Symbol.asyncIterator]();
    void leader.next().catch(() => {});
    const follower = layer.handle(call(), next);
    await leader.return?.();
    await settle();
    const reading = read(follower);
    taps.at(-1)!.push({ text: "a" });
    taps.at(-1)!.end();
    expect(await reading).toEqual([{ text: "a" }]);
    expect(layer.size).toBe(0);
  });

  it("lets a reader go at once whose signal aborts between two parts", async () => {
    const layer = new Coalesce();
    const { next, taps } = upstream();
    const abort = new AbortController();
    const other = read(layer.handle(call(), next));
    const reader = layer.handle(call({ signal: abort.signal }), next)[Symbol.asyncIterator]();
    taps[0]!.push({ text: "a" }, { text: "not wanted any more" });
    await settle();
    expect((await reader.next()).value).toEqual({ text: "a" });
    const reason = new Error("gone");
    abort.abort(reason);
    await expect(reader.next()).rejects.toBe(reason);
    taps[0]!.end();
    expect(await other).toHaveLength(2);
  });

  it("closes the upstream stream when all have left, though it is deaf to its signal", async () => {
    const layer = new Coalesce();
    const { next, calls, taps } = upstream();
    const readers = [call(), call()].map((asked) => layer.handle(asked, next)[Symbol.asyncIterator]());
    taps[0]!.push({ text: "a" });
    for (const reader of readers) await reader.next();
    for (const reader of readers) await reader.return?.();
    expect(layer.size).toBe(0);
    expect(calls[0]!.signal?.aborted).toBe(true);
    taps[0]!.push({ text: "b" }, { text: "c" }, { text: "d" });
    await settle();
    expect(taps[0]!.closed).toBe(true);
    expect(taps[0]!.asked).toBeLessThanOrEqual(2);
  });

  it.each(["when asked", "when read"])("leaves no flight behind when the upstream call throws at once: %s", async (when) => {
    const layer = new Coalesce();
    const failure = new Error("at once");
    const failing: Next = () => {
      if (when === "when asked") throw failure;
      return { [Symbol.asyncIterator]: () => ({ next: () => { throw failure; } }) };
    };
    const attempt = async (): Promise<unknown> => read(layer.handle(call(), failing));
    await expect(attempt()).rejects.toBe(failure);
    expect(layer.size).toBe(0);
    await expect(attempt()).rejects.toBe(failure);
  });

  it("converts between modes for followers, and gives the leader the originals", async () => {
    const layer = new Coalesce();
    const { next, taps } = upstream();
    const leader = read(layer.handle(call({ mode: "stream" }), next));
    const follower = read(layer.handle(call({ mode: "invoke" }), next));
    const part = { text: "a" };
    taps[0]!.push(part);
    taps[0]!.end();
    expect((await leader)[0]).toBe(part);
    expect(await follower).toEqual([{ text: "converted a" }]);
  });

  it("leaves no listener on the signals of its readers", async () => {
    const layer = new Coalesce();
    const { next, taps } = upstream();
    let listeners = 0;
    const signal = {
      aborted: false,
      addEventListener: () => void (listeners += 1),
      removeEventListener: () => void (listeners -= 1),
      throwIfAborted() {},
    } as unknown as AbortSignal;
    const readings = [1, 2].map(() => read(layer.handle(call({ signal }), next)));
    await settle();
    expect(listeners).toBe(2);
    taps[0]!.end();
    await Promise.all(readings);
    expect(listeners).toBe(0);
  });

  it("shares an error with all, the very same", async () => {
    const layer = new Coalesce();
    const { next, taps } = upstream();
    const readings = [1, 2, 3].map(() => read(layer.handle(call(), next)));
    const failure = new TypeError("terminated");
    taps[0]!.push({ text: "a" });
    taps[0]!.fail(failure);
    for (const { reason } of (await Promise.allSettled(readings)) as PromiseRejectedResult[]) expect(reason).toBe(failure);
    expect(layer.size).toBe(0);
  });
});
