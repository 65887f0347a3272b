import { OpenAIEmbeddings } from "@langchain/openai";
import { createPerf, OptionError, withPerf, type PerfOptions } from "langchain-perf";
import type { Simulator } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { APIS, listeningPerf, simulator } from "./providers.ts";

const model = APIS.OpenAI({ baseURL: "http://127.0.0.1:9" } as Simulator);
const embeddings = new OpenAIEmbeddings({ apiKey: "a" });
const one = { id: "a", model };
const two = [one, { id: "b", model }];

/** Options, the path that the error names, and what it says. */
const WRONG: [options: unknown, option: string, says: RegExp][] = [
  [{ routing: true }, "routing", /true/],
  [{ routing: {} }, "routing.deployments", /at least one deployment/],
  [{ routing: { deployments: [] } }, "routing.deployments", /an array of 0/],
  [{ routing: { deployments: [{ model }] } }, "routing.deployments[0].id", /a name/],
  [{ routing: { deployments: [{ id: "", model }] } }, "routing.deployments[0].id", /not empty/],
  [{ routing: { deployments: [{ id: "a" }] } }, "routing.deployments[0].model", /undefined/],
  [{ routing: { deployments: [{ id: "a", model: "gpt-4o" }] } }, "routing.deployments[0].model", /"gpt-4o"/],
  [{ routing: { deployments: [one, { id: "a", model }] } }, "routing", /an id of its own.*"a"/],
  [{ routing: [{ deployments: [one] }, { deployments: [one] }] }, "routing", /an id of its own.*"a"/],
  [{ routing: [{ deployments: [one] }, { deployments: [] }] }, "routing[1].deployments", /at least one/],
  [{ routing: { deployments: [one, { id: "b", model: embeddings }] } }, "routing.deployments", /one kind \(chat\).*"embeddings"/],
  [{ routing: { deployments: [{ ...one, weight: 0 }] } }, "routing.deployments[0].weight", /above 0/],
  [{ routing: { deployments: [{ ...one, priority: -1 }] } }, "routing.deployments[0].priority", /from 0 .*got -1/],
  [{ routing: { deployments: [{ ...one, maxConcurrent: 0.5 }] } }, "routing.deployments[0].maxConcurrent", /0\.5/],
  [{ routing: { deployments: [{ ...one, requestsPerMinute: 0 }] } }, "routing.deployments[0].requestsPerMinute", /above 0/],
  [{ routing: { deployments: [{ ...one, contextWindow: 0 }] } }, "routing.deployments[0].contextWindow", /at least 1/],
  [{ routing: { deployments: [{ ...one, price: { input: 1 } }] } }, "routing.deployments[0].price.output", /USD/],
  [{ routing: { deployments: [{ ...one, metricsUrl: "vllm:8000" }] } }, "routing.deployments[0].metricsUrl", /URL.*"vllm:8000"/],
  [{ routing: { deployments: [{ ...one, metricsUrl: "metrics" }] } }, "routing.deployments[0].metricsUrl", /URL/],
  [{ routing: { deployments: [{ ...one, tags: "eu" }] } }, "routing.deployments[0].tags", /strings/],
  [{ routing: { deployments: [{ ...one, rpm: 5 }] } }, "routing.deployments[0].rpm", /requestsPerMinute/],
  [{ routing: { deployments: two, strategy: "fastest" } }, "routing.strategy", /"round-robin".*"fastest"/],
  [{ routing: { deployments: two, when: "chat" } }, "routing.when", /a function/],
  [{ routing: { deployments: two, latencyBoundMs: 0 } }, "routing.latencyBoundMs", /above 0/],
  [{ routing: { deployments: two, circuit: { failureRate: 2 } } }, "routing.circuit.failureRate", /got 2/],
  [{ routing: { deployments: two, circuit: { minCalls: 0 } } }, "routing.circuit.minCalls", /at least 1/],
  [{ routing: { deployments: two, circuit: "on" } }, "routing.circuit", /"on"/],
  [{ routing: { deployments: two, hedge: { budget: 0 } } }, "routing.hedge.budget", /above 0/],
  [{ routing: { deployments: two, hedge: { percentile: 95 } } }, "routing.hedge.percentile", /95/],
  [{ routing: { deployments: two, fallback: { contextWindow: ["c"] } } }, "routing.fallback.contextWindow", /a, b.*"c"/],
  [{ routing: { deployments: two, fallback: { contentFilter: ["c"] } } }, "routing.fallback.contentFilter", /a, b.*"c"/],
  [{ routing: { deployments: two, cascade: { first: "c", accept: () => true } } }, "routing.cascade.first", /a, b.*"c"/],
  [{ routing: { deployments: two, cascade: { first: "a" } } }, "routing.cascade.accept", /good enough/],
  [{ routing: { deployments: two, onInterrupt: "retry" } }, "routing.onInterrupt", /"error".*"hold".*"retry"/],
  [{ routing: { deployments: two, shared: "here" } }, "routing.shared", /redis/i],
  [{ routing: { deployments: two, retries: 3 } }, "routing.retries", /known options/],
  [{ retry: true }, "retry", /false or an object/],
  [{ retry: { maxRetries: 1.5 } }, "retry.maxRetries", /whole number/],
  [{ retry: { maxRetries: Infinity } }, "retry.maxRetries", /whole number.*1000.*Infinity/],
  [{ retry: { budget: 2 } }, "retry.budget", /got 2/],
  [{ retry: { baseDelayMs: 500, maxDelayMs: 100 } }, "retry.baseDelayMs", /at most retry\.maxDelayMs \(100\).*500/],
  [{ retry: { on: true } }, "retry.on", /a function/],
  [{ timeouts: { firstTokenMs: 0 } }, "timeouts.firstTokenMs", /at least 1/],
  [{ timeouts: { stallMS: 5 } }, "timeouts.stallMS", /stallMs/],
];

describe("wrong options", () => {
  it.each(WRONG.map(([options, option, says]) => ({ options, option, says })))("name $option: $says", ({ options, option, says }) => {
    let error: unknown;
    try {
      void createPerf(options as PerfOptions).close();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OptionError);
    expect(error).toMatchObject({ option, message: expect.stringMatching(says) });
  });

  it("of a call name the deployments that there are", async () => {
    const [a, b] = [await simulator(), await simulator()];
    const asked = APIS.OpenAI(a);
    const { perf } = listeningPerf({ routing: { deployments: [{ id: "a", model: asked }, { id: "b", model: APIS.OpenAI(b) }] } });
    const ask = (deployment: string): Promise<{ text: string }> => withPerf(asked, perf).invoke("Hello", { configurable: { perf: { deployment } } });
    expect(await errorOf(ask("c"))).toMatchObject({ option: "configurable.perf.deployment", message: expect.stringMatching(/"a", "b".*"c"/) });
    expect((await ask("b")).text).toContain("word7");
    expect([a.count(), b.count()]).toEqual([0, 1]);
  });
});
