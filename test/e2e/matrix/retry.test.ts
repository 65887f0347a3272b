import { OutputParserException } from "@langchain/core/output_parsers";
import { type Runnable, RunnableLambda } from "@langchain/core/runnables";
import type { AIMessageChunk } from "@langchain/core/messages";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createFakeKit, type FakeKit } from "../../support/fakes/kit.ts";
import type { FakeRequest } from "../../support/fakes/request.ts";
import { createPerf, withPerf } from "langchain-perf";

/** A chain that is tried up to three times, around a parser that accepts numbers alone. */
function chainOf(kit: FakeKit, reply: (request: FakeRequest) => string, observed: boolean): Runnable<string, number> {
  const parser = RunnableLambda.from(({ text }: AIMessageChunk) => {
    if (!/^\d+$/.test(text)) throw new OutputParserException(`no number: ${text}`, text);
    return Number(text);
  });
  const perf = createPerf({ cache: true, coalesce: true, trace: true });
  if (observed) perf.on("call", () => undefined);
  return withPerf(kit.chat({ reply }).pipe(parser).withRetry({ stopAfterAttempt: 3 }), perf);
}

const refusedOnce = ({ attempt }: FakeRequest): string => (attempt === 1 ? "a few" : String(attempt));

describe.each([
  { watching: "nobody", observed: false },
  // With a listener the perf's scope also travels in the callbacks, and must not overrule the attempt's.
  { watching: "a listener", observed: true },
])("withRetry around a parser that refuses an answer, with $watching watching", ({ observed }) => {
  // LangChain waits a second and more between attempts: the waits are skipped.
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }).setTimerTickMode("nextTimerAsync"));
  afterEach(() => void vi.useRealTimers());

  it("asks the model again, and keeps the answer that was accepted", async () => {
    const kit = createFakeKit();
    const chain = chainOf(kit, refusedOnce, observed);
    expect(await chain.invoke("how many?")).toBe(2);
    expect(kit.counts.chat).toBe(2);
    expect(await chain.invoke("how many?")).toBe(2);
    expect(kit.counts.chat).toBe(2);
  });

  it("asks again in a batch, for each input that was refused and for no other", async () => {
    const kit = createFakeKit();
    const chain = chainOf(kit, (request) => (request.text === "fine" ? "7" : refusedOnce(request)), observed);
    expect(await chain.batch(["how many?", "fine", "how much?"])).toEqual([2, 7, 2]);
    expect(kit.counts.chat).toBe(5);
    expect(await chain.batch(["how many?", "fine", "how much?"])).toEqual([2, 7, 2]);
    expect(kit.counts.chat).toBe(5);
  });

  it("asks as often as LangChain tries, and throws the parser's own error", async () => {
    const kit = createFakeKit();
    const chain = chainOf(kit, ({ attempt }) => `attempt ${attempt}`, observed);
    await expect(chain.invoke("how many?")).rejects.toThrow(OutputParserException);
    expect(kit.counts.chat).toBe(3);
    // What was refused last is not kept either.
    await expect(chain.invoke("how many?")).rejects.toThrow(OutputParserException);
    expect(kit.counts.chat).toBe(6);
  });

  it("does not keep a refused answer where LangChain tries once, as in a stream", async () => {
    const kit = createFakeKit();
    const chain = chainOf(kit, refusedOnce, observed);
    const read = async (): Promise<number[]> => Array.fromAsync(await chain.stream("how many?"));
    await expect(read()).rejects.toThrow(OutputParserException);
    expect(await read()).toEqual([2]);
    expect(kit.counts.chat).toBe(2);
  });
});
