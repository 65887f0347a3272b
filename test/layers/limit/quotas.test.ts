import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { createPerf, OptionError, RateLimitError, withPerf, type Demand, type Limiter, type RequestOutcome } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";
import { describe, expect, it, onTestFinished } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { countingChat } from "../support/counting-model.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

const apiKey = "simulated";

/** A limiter that admits everybody and remembers what it was told. */
function recorder(): { limiter: Limiter; demands: Demand[]; outcomes: (RequestOutcome | undefined)[] } {
  const demands: Demand[] = [];
  const outcomes: (RequestOutcome | undefined)[] = [];
  const limiter: Limiter = {
    name: "recorder",
    async acquire(demand = {}) {
      demands.push(demand);
      return { waitMs: 0, release: (outcome) => void outcomes.push(outcome) };
    },
    status: () => ({ name: "recorder", queued: 0, active: 0 }),
  };
  return { limiter, demands, outcomes };
}

describe("what a request is taken for", () => {
  it("is the prompt and the bound of the answer, and afterwards what the provider reports, streams too", async () => {
    await using simulator = await createSimulator();
    const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey, maxTokens: 500, configuration: { baseURL: simulator.baseURL } });
    const { limiter, demands, outcomes } = recorder();
    const fast = withPerf(model, { rateLimit: limiter });
    const { usage_metadata: usage } = await fast.invoke("How long does a refund take, and whom do I ask for one?");
    let streamed = 0;
    for await (const part of await fast.stream("How long does a refund take, and whom do I ask for one?")) streamed += part.usage_metadata?.total_tokens ?? 0;
    expect(demands).toHaveLength(2);
    for (const { tokens = 0, priority } of demands) expect([tokens > 510 && tokens < 540, priority]).toEqual([true, undefined]);
    expect(outcomes.map((outcome) => outcome?.tokens)).toEqual([usage?.total_tokens, streamed]);
  });

  it("is the answers of late where the answer has no bound", async () => {
    await using simulator = await createSimulator();
    const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey, configuration: { baseURL: simulator.baseURL } });
    const { limiter, demands } = recorder();
    const fast = withPerf(model, { rateLimit: limiter });
    await fast.invoke("Say hello.");
    await fast.invoke("Say hello.");
    expect(demands[1]!.tokens!).toBeLessThan(demands[0]!.tokens!);
  });

  it("is the prompt as the provider has counted it before", async () => {
    const counts = (text: string): number => text.length;
    const model = new ScriptedChat({
      whole: ({ messages }) => {
        const { generations: [generation] } = textResult("answer");
        const tokens = counts(messages[0]!.text);
        Object.assign(generation!.message, { usage_metadata: { input_tokens: tokens, output_tokens: 1, total_tokens: tokens + 1 } });
        return { generations: [generation!] };
      },
    });
    const { limiter, demands } = recorder();
    const fast = withPerf(model, { rateLimit: limiter });
    const prompt = "lorem ipsum dolor sit amet ".repeat(40);
    for (let asked = 0; asked < 3; asked += 1) await fast.invoke(prompt);
    expect(demands[0]!.tokens!).toBeLessThan(counts(prompt) * 0.6);
    expect(Math.abs(demands[2]!.tokens! - counts(prompt))).toBeLessThan(counts(prompt) / 3);
  });

  it("is one request for all texts that are asked together, and nothing for those that the cache has", async () => {
    await using simulator = await createSimulator();
    const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey, configuration: { baseURL: simulator.baseURL } });
    const { limiter, demands } = recorder();
    const fast = withPerf(embeddings, { cache: true, rateLimit: limiter });
    await fast.embedDocuments(["a b c", "d e f", "g h i"]);
    await fast.embedDocuments(["a b c", "d e f"]);
    await fast.embedDocuments(["a b c", "j"]);
    await fast.embedQuery("k");
    expect(demands.map(({ tokens }) => tokens! > 0)).toEqual([true, true, true]);
  });
});

describe("what a provider may announce", () => {
  it("is not waited for where the limits that are set let the requests go", async () => {
    const { model, load } = countingChat({ delayMs: 20 });
    const fast = withPerf(model, { rateLimit: { maxConcurrent: 50, maxQueue: 0 } });
    await Promise.all(Array.from({ length: 50 }, (_, at) => fast.invoke(`question ${at}`)));
    expect(load.peak).toBe(50);
  });

  it("shows by the model that it is for", async () => {
    const perf = createPerf({ rateLimit: {} });
    for (const model of ["a", "b"]) await withPerf(new ScriptedChat({ model }), perf).invoke("x");
    expect(perf.stats().limits?.map(({ name, target }) => [name, target])).toEqual([["local", undefined], ["announced", "a"], ["announced", "b"]]);
  });
});

describe("quotas", () => {
  it("refuse what is larger than they are", async () => {
    const fast = withPerf(new ScriptedChat(), { rateLimit: { tokensPerMinute: 100 } });
    expect(await errorOf(fast.invoke("word ".repeat(500)))).toBeInstanceOf(RateLimitError);
  });

  it("count a call as nobody's whose tenant is no name, and warn once", async () => {
    const warnings: string[] = [];
    const hear = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", hear);
    onTestFinished(() => void process.off("warning", hear));
    const pers = [() => ({ id: 1 }), () => Promise.reject(new Error("late")), () => { throw new Error("broken"); }, () => undefined] as unknown as (() => string)[];
    for (const per of pers) {
      const fast = withPerf(new ScriptedChat(), { rateLimit: { per, maxConcurrent: 5 } });
      await fast.invoke("x");
      await fast.invoke("y");
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings.filter((warning) => warning.includes("rateLimit.per")).length).toBe(2);
  });

  it("want prices where there is a budget", async () => {
    expect(() => createPerf({ rateLimit: { budgetUsdPerHour: 1 } })).toThrow(OptionError);
    const perf = createPerf({ rateLimit: { budgetUsdPerHour: 1 }, pricing: { other: { input: 1, output: 1 } } });
    expect(await errorOf(withPerf(new ScriptedChat(), perf).invoke("x"))).toMatchObject({ code: "PERF_OPTION", option: "pricing.scripted-1" });
  });

  it.each([
    [{ requestsPerMinute: 0 }, "rateLimit.requestsPerMinute"],
    [{ maxConcurrent: "fast" }, "rateLimit.maxConcurrent"],
    [{ maxConcurrent: 1.5 }, "rateLimit.maxConcurrent"],
    [{ weights: { a: 0 } }, "rateLimit.weights.a"],
    [{ shared: "http://localhost" }, "rateLimit.shared"],
    [{ tokensPerMin: 5 }, "rateLimit.tokensPerMin"],
    [{ per: "tenant" }, "rateLimit.per"],
    [5, "rateLimit"],
  ])("that make no sense are refused: %j", (rateLimit, option) => {
    expect(() => createPerf({ rateLimit: rateLimit as object })).toThrow(expect.objectContaining({ code: "PERF_OPTION", option }) as Error);
  });
});

describe("requests that fail", () => {
  it("are made again with a permit for each attempt and none in between, and as often as the model says", async () => {
    await using simulator = await createSimulator({ faults: ["status=429,retry-after-ms=50,times=2"] });
    const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey, maxRetries: 2, configuration: { baseURL: simulator.baseURL } });
    const { limiter, demands, outcomes } = recorder();
    const { text } = await withPerf(model, { rateLimit: limiter }).invoke("Say hello.");
    expect(text).not.toBe("");
    expect([demands.length, outcomes.map((outcome) => outcome?.end), simulator.count()]).toEqual([3, ["overloaded", "overloaded", "ok"], 3]);
  });

  it("are not made again when the model says so, or when that would not help", async () => {
    await using simulator = await createSimulator({ faults: ["status=429,retry-after-ms=50,model=limited", "status=400,model=bad"] });
    const ask = (name: string, maxRetries: number): Promise<unknown> =>
      errorOf(withPerf(new ChatOpenAI({ model: name, apiKey, maxRetries, configuration: { baseURL: simulator.baseURL } }), { rateLimit: {} }).invoke("Say hello."));
    expect([await ask("limited", 0), simulator.count()]).toEqual([expect.objectContaining({ status: 429 }), 1]);
    expect([await ask("bad", 5), simulator.count()]).toEqual([expect.objectContaining({ status: 400 }), 2]);
  });
});

describe("a refusal", () => {
  it("is waited out where only its message says how long", async () => {
    await using simulator = await createSimulator({ faults: ["status=429,message=Rate limit reached. Please try again in 900s."] });
    const perf = createPerf({ rateLimit: {} });
    const fast = withPerf(new ChatOpenAI({ model: "gpt-4o-mini", apiKey, maxRetries: 0, configuration: { baseURL: simulator.baseURL } }), perf);
    expect(await errorOf(fast.invoke("x"))).toMatchObject({ status: 429 });
    expect(perf.stats().limits?.[1]?.source).toMatch(/^refused: nothing for 8\d\d\d\d\d ms$|^refused: nothing for 900000 ms$/);
  });
});

describe("a refusal for lack of money", () => {
  it("is told at once, to all, and nobody waits for it to pass", async () => {
    await using server = createServer((_request, response) => {
      response.writeHead(429, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: "You exceeded your current quota.", type: "insufficient_quota", code: "insufficient_quota" } }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const perf = createPerf({ rateLimit: {} });
    const fast = withPerf(new ChatOpenAI({ model: "gpt-4o-mini", apiKey, configuration: { baseURL: `http://127.0.0.1:${port}/v1` } }), perf);
    for (const question of ["a", "b"]) expect(await errorOf(fast.invoke(question))).toMatchObject({ name: "InsufficientQuotaError" });
    expect(perf.stats().limits?.[1]?.source).toBe("nothing told");
    server.closeAllConnections();
  });
});
