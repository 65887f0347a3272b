import { Embeddings } from "@langchain/core/embeddings";
import { ChatOpenAI } from "@langchain/openai";
import { createPerf, withPerf } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

const apiKey = "simulated";

/** Embeddings whose requests go by LangChain's caller, as those of all providers do, and fail as often as a test says. */
class CallingEmbeddings extends Embeddings {
  readonly model = "calling-1";
  asked = 0;
  readonly #failure: (nth: number) => unknown;

  constructor(failure: (nth: number) => unknown, params: ConstructorParameters<typeof Embeddings>[0] = {}) {
    super(params);
    this.#failure = failure;
  }

  override embedQuery(_text: string): Promise<number[]> {
    return this.#ask();
  }

  /** Like Google's: what fails is swallowed. */
  override async embedDocuments(texts: string[]): Promise<number[][]> {
    const [vectors] = await Promise.allSettled([this.#ask()]);
    return texts.map(() => (vectors.status === "fulfilled" ? vectors.value : []));
  }

  #ask(): Promise<number[]> {
    return this.caller.call(async () => {
      const failure = this.#failure((this.asked += 1));
      if (failure) throw failure;
      return [1, 2];
    });
  }
}

describe("requests that are made again from outside", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }).setTimerTickMode("nextTimerAsync"));
  afterEach(() => void vi.useRealTimers());

  it("are judged once by a handler of the user's own, and its word holds though it takes its time", async () => {
    for (const bare of [true, false]) {
      const heard: unknown[] = [];
      const embeddings = new CallingEmbeddings((nth) => new Error(`failure ${nth}`), {
        maxRetries: 5,
        async onFailedAttempt(error: unknown) {
          heard.push((error as Error).message);
          await Promise.resolve();
          if (heard.length === 3) throw error;
        },
      });
      const target = bare ? embeddings : withPerf(embeddings, { rateLimit: {} });
      expect(await errorOf(target.embedQuery("x"))).toMatchObject({ message: "failure 3" });
      expect(heard).toEqual(["failure 1", "failure 2", "failure 3"]);
    }
  });

  it("are not made again where the program was at fault, nor as often as no number says", async () => {
    for (const bare of [true, false]) {
      const faulty = new CallingEmbeddings(() => new TypeError("x is undefined"), { maxRetries: 3 });
      expect(await errorOf((bare ? faulty : withPerf(faulty, { rateLimit: {} })).embedQuery("x"))).toBeInstanceOf(TypeError);
      const cut = new CallingEmbeddings((nth) => (nth === 1 ? new TypeError("fetch failed") : undefined), { maxRetries: 3 });
      expect(await (bare ? cut : withPerf(cut, { rateLimit: {} })).embedQuery("x")).toEqual([1, 2]);
      const odd = new CallingEmbeddings(() => new Error("failure"), { maxRetries: Number.NaN });
      expect(await errorOf((bare ? odd : withPerf(odd, { rateLimit: {} })).embedQuery("x"))).toBeInstanceOf(TypeError);
      expect([faulty.asked, cut.asked, odd.asked]).toEqual([1, 2, 0]);
    }
  });

  it("are made again where the class would have swallowed the failure, and what it gives after the last attempt is its answer", async () => {
    for (const bare of [true, false]) {
      const once = new CallingEmbeddings((nth) => (nth === 1 ? new Error("failure") : undefined), { maxRetries: 2 });
      expect(await (bare ? once : withPerf(once, { rateLimit: {} })).embedDocuments(["a", "b"])).toEqual([[1, 2], [1, 2]]);
      const always = new CallingEmbeddings(() => new Error("failure"), { maxRetries: 2 });
      expect(await (bare ? always : withPerf(always, { rateLimit: {} })).embedDocuments(["a", "b"])).toEqual([[], []]);
      expect([once.asked, always.asked]).toEqual([2, 3]);
    }
  });
});

describe("a request that was refused and cannot be made again in time", () => {
  it("fails with the provider's refusal: for want of a fallback that answers, too", async () => {
    await using simulator = await createSimulator({ faults: ["status=429,retry-after=30"] });
    const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey, maxRetries: 3, configuration: { baseURL: simulator.baseURL } });
    const broken = new ScriptedChat({ whole: () => { throw new Error("broken"); } });
    expect(await errorOf(withPerf(model.withFallbacks([broken]), { rateLimit: {} }).invoke("x"))).toMatchObject({ status: 429 });
    const hurried = { configurable: { perf: { deadlineMs: 5_000 } } };
    expect(await errorOf(withPerf(model, { rateLimit: {} }).invoke("x", hurried))).toMatchObject({ status: 429 });
    expect(simulator.count()).toBe(2);
  });

  it("is not sent by those who had waited for a place meanwhile", async () => {
    await using simulator = await createSimulator({ faults: ["status=429,retry-after-ms=300,times=1"] });
    const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey, maxRetries: 1, configuration: { baseURL: simulator.baseURL } });
    const perf = createPerf({ rateLimit: { maxConcurrent: 1 } });
    await withPerf(model, perf).batch(["a", "b", "c", "d"]);
    const [refused, ...later] = simulator.requests;
    expect([refused?.status, later.map(({ status }) => status)]).toEqual([429, [200, 200, 200, 200]]);
    for (const { time } of later) expect(time - refused!.time).toBeGreaterThanOrEqual(290);
    expect(perf.stats().limits?.map(({ active, queued }) => [active, queued])).toEqual([[0, 0], [0, 0]]);
  });
});

describe("an answer that a model makes itself", () => {
  it("is not asked for again when it fails", async () => {
    const model = new ScriptedChat({ whole: (_call, nth) => { if (nth === 1) throw new Error("broken"); return textResult("late"); } });
    expect(await errorOf(withPerf(model, { rateLimit: {} }).invoke("x"))).toMatchObject({ message: "broken" });
  });
});
