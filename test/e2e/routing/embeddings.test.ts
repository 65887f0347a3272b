import { OpenAIEmbeddings, type OpenAIEmbeddingsParams } from "@langchain/openai";
import { withPerf, type NoDeploymentError, type PerfOptions } from "langchain-perf";
import type { Simulator } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { APIS, askedOf, faultyAndSound, listeningPerf, quiet, simulator } from "./providers.ts";

const SMALL = "text-embedding-3-small";
const embeddingsAt = ({ baseURL }: Simulator, fields: Partial<OpenAIEmbeddingsParams> = {}): OpenAIEmbeddings =>
  new OpenAIEmbeddings({ model: SMALL, apiKey: "a", maxRetries: 6, configuration: { baseURL, logLevel: "off" }, ...fields });

const METHODS = {
  embedQuery: (embeddings: OpenAIEmbeddings) => embeddings.embedQuery("Hello"),
  embedDocuments: (embeddings: OpenAIEmbeddings) => embeddings.embedDocuments(["one", "two", "three"]),
};
const methods = Object.keys(METHODS) as (keyof typeof METHODS)[];

/** What a fault is called, and how many requests one deployment gets of a call. */
const FAULTS: [fault: string, kind: string, requests: number, options?: PerfOptions][] = [
  ["status=401", "auth", 1],
  ["status=429,retry-after=30", "rate-limited", 1],
  ["status=500", "server", 2],
  ["status=503", "overloaded", 1],
  ["reset", "network", 1],
  ["silent", "timeout", 1, { timeouts: { attemptMs: 1_000 } }],
  ["stall=0", "timeout", 1, { timeouts: { attemptMs: 1_000 } }],
  ["cut=0", "network", 1],
  ["end=0", "interrupted", 1],
  ["content-type", "interrupted", 1],
];

describe("embeddings", () => {
  it.each(methods.flatMap((method) => FAULTS.map(([fault, kind, count, options = {}]) => ({ method, fault, kind, count, options }))))("by $method come from the next deployment after $fault", async ({ method, fault, kind, count, options }) => {
    const { faulty, sound } = await faultyAndSound(fault);
    const embeddings = embeddingsAt(faulty);
    const deployments = [{ id: "faulty", model: embeddings }, { id: "sound", model: embeddingsAt(sound), priority: 1 }];
    const { perf, calls } = listeningPerf({ routing: { deployments }, retry: { baseDelayMs: 1, maxDelayMs: 5 }, ...options });
    const vectors = await METHODS[method](withPerf(embeddings, perf));
    expect(vectors).toEqual(await METHODS[method](embeddingsAt(sound)));
    expect(calls.map(askedOf)).toEqual([[...Array.from({ length: count }, () => `faulty ${kind}`), "sound"]]);
    expect(calls[0]).toMatchObject({ kind: "embeddings", deployment: "sound", model: SMALL });
    expect(calls[0]).not.toHaveProperty("requestedModel");
    expect([faulty.count(), sound.count()]).toEqual([count, 2]);
    // LangChain gives embeddings no signal: a provider that is silent keeps its request, but nobody waits for it.
    await quiet(perf);
  });

  it.each<[string, Partial<OpenAIEmbeddingsParams>, Partial<OpenAIEmbeddingsParams>]>([
    ["another model's", {}, { model: "text-embedding-3-large" }],
    ["another number of dimensions", {}, { dimensions: 256 }],
    ["another number of dimensions than asked for", { dimensions: 128 }, { dimensions: 256 }],
  ])("never come from another space: %s", async (_name, asked, other) => {
    const { faulty, sound } = await faultyAndSound("status=503");
    const embeddings = embeddingsAt(faulty, asked);
    const { perf } = listeningPerf({ routing: { deployments: [{ id: "faulty", model: embeddings }, { id: "other", model: embeddingsAt(sound, other), priority: 1 }] }, retry: { maxRetries: 1, baseDelayMs: 1 } });
    const error = (await errorOf(withPerf(embeddings, perf).embedQuery("Hello"))) as NoDeploymentError;
    expect(error).toMatchObject({ code: "PERF_NO_DEPLOYMENT", errors: [{ deployment: "faulty", error: { status: 503 } }, { deployment: "other", error: { message: expect.stringContaining("space") } }] });
    expect(perf.deployments()[1]?.lastUnfit).toContain("space");
    expect(sound.count()).toBe(0);
    perf.addDeployment({ id: "same", model: embeddingsAt(sound, asked), priority: 2 });
    expect(await withPerf(embeddings, perf).embedQuery("Hello")).toEqual(await embeddingsAt(sound, asked).embedQuery("Hello"));
  });

  it("that are asked for at once go together to who answers, and each gets its own", async () => {
    const { faulty, sound } = await faultyAndSound("status=503");
    const embeddings = embeddingsAt(faulty);
    const deployments = [{ id: "faulty", model: embeddings }, { id: "sound", model: embeddingsAt(sound), priority: 1 }];
    const { perf, calls } = listeningPerf({ batch: { maxBatchSize: 10, maxWaitMs: 20, symmetric: true }, cache: true, routing: { deployments } });
    const fast = withPerf(embeddings, perf);
    const texts = ["a", "b", "c", "d"];
    const [queries, documents] = await Promise.all([Promise.all(texts.map((text) => fast.embedQuery(text))), fast.embedDocuments(["e", "a"])]);
    expect([faulty.count(), sound.count()]).toEqual([1, 1]);
    const alone = embeddingsAt(await simulator());
    expect(queries).toEqual(await Promise.all(texts.map((text) => alone.embedQuery(text))));
    expect(documents).toEqual(await alone.embedDocuments(["e", "a"]));
    for (const { deployment } of calls) expect(deployment).toBe("sound");
    expect(calls.filter(({ attempts }) => attempts.length > 0).map(askedOf)).toContainEqual(["faulty overloaded", "sound"]);

    // Whoever answered: they are the same vectors, and kept.
    await fast.embedQuery("b");
    expect(calls.at(-1)).toMatchObject({ cache: { status: "hit" } });
    expect([faulty.count(), sound.count()]).toEqual([1, 1]);
  });

  it("are no matter of the deployments of chat models", async () => {
    const [chat, vectors] = [await simulator(), await simulator()];
    const embeddings = embeddingsAt(vectors);
    const model = APIS.OpenAI(chat);
    const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "chat", model }] } });
    await withPerf(embeddings, perf).embedQuery("Hello");
    await withPerf(model, perf).invoke("Hello");
    expect(calls.map(({ kind, deployment }) => [kind, deployment])).toEqual([["embeddings", undefined], ["chat", "chat"]]);
    expect([chat.count(), vectors.count()]).toEqual([1, 1]);
  });
});
