import { afterEach, describe, expect, it, vi } from "vitest";
import { OptionError } from "../../../src/core/errors.ts";
import { OptionReader } from "../../../src/core/options.ts";
import type { ModelOf } from "../../../src/layers/route/deployment-options.ts";
import { resolveRouting } from "../../../src/layers/route/options.ts";
import { resolveRetry, resolveTimeouts } from "../../../src/layers/route/retry-options.ts";
import { STRATEGY_NAMES } from "../../../src/layers/route/strategies/all.ts";

const chat = { kind: "chat", name: "gpt" };
const vectors = { kind: "embeddings", name: undefined };
const modelOf: ModelOf = (value) => (typeof value === "object" && value !== null && "kind" in value ? { ...(value as typeof chat), target: value } : undefined);
const a = { id: "a", model: chat };
const b = { id: "b", model: chat };

const resolve = (options: object): ReturnType<typeof resolveRouting>[number] => resolveRouting({ deployments: [a, b], ...options }, modelOf)[0]!;

afterEach(() => void vi.restoreAllMocks());

const BAD: readonly [option: string, raw: unknown][] = [
  ["routing", 42],
  ["routing", null],
  ["routing[0]", [42]],
  ["routing.nonsense", { deployments: [a], nonsense: 1 }],
  ["routing.deployments", {}],
  ["routing.deployments", { deployments: [] }],
  ["routing.deployments", { deployments: a }],
  ["routing.deployments[0]", { deployments: ["a"] }],
  ["routing.deployments[1].id", { deployments: [a, { model: chat }] }],
  ["routing.deployments[0].id", { deployments: [{ id: "", model: chat }] }],
  ["routing.deployments[0].model", { deployments: [{ id: "a" }] }],
  ["routing.deployments[0].model", { deployments: [{ id: "a", model: "gpt-4o" }] }],
  ["routing.deployments[0].model", { deployments: [{ id: "a", model: { kind: "tool" } }] }],
  ["routing.deployments", { deployments: [a, { id: "v", model: vectors }] }],
  ["routing", { deployments: [a, a] }],
  ["routing", [{ deployments: [a] }, { deployments: [a] }]],
  ["routing.deployments[0].weight", { deployments: [{ ...a, weight: 0 }] }],
  ["routing.deployments[0].weight", { deployments: [{ ...a, weight: Infinity }] }],
  ["routing.deployments[0].priority", { deployments: [{ ...a, priority: -1 }] }],
  ["routing.deployments[0].priority", { deployments: [{ ...a, priority: 0.5 }] }],
  ["routing.deployments[0].contextWindow", { deployments: [{ ...a, contextWindow: 0 }] }],
  ["routing.deployments[0].price.output", { deployments: [{ ...a, price: { input: 1 } }] }],
  ["routing.deployments[0].price.input", { deployments: [{ ...a, price: { input: -1, output: 1 } }] }],
  ["routing.deployments[0].metricsUrl", { deployments: [{ ...a, metricsUrl: "file:///etc/passwd" }] }],
  ["routing.deployments[0].metricsUrl", { deployments: [{ ...a, metricsUrl: "localhost" }] }],
  ["routing.deployments[0].tags", { deployments: [{ ...a, tags: "eu" }] }],
  ["routing.deployments[0].requestsPerMinute", { deployments: [{ ...a, requestsPerMinute: 0 }] }],
  ["routing.deployments[0].tokensPerMinute", { deployments: [{ ...a, tokensPerMinute: "1000" }] }],
  ["routing.deployments[0].maxConcurrent", { deployments: [{ ...a, maxConcurrent: 1.5 }] }],
  ["routing.deployments[0].url", { deployments: [{ ...a, url: "x" }] }],
  ["routing.strategy", { deployments: [a], strategy: "fastest" }],
  ["routing.strategy", { deployments: [a], strategy: {} }],
  ["routing.when", { deployments: [a], when: "gpt" }],
  ["routing.latencyBoundMs", { deployments: [a], latencyBoundMs: 0 }],
  ["routing.circuit", { deployments: [a], circuit: true }],
  ["routing.circuit.failureRate", { deployments: [a], circuit: { failureRate: 0 } }],
  ["routing.circuit.failureRate", { deployments: [a], circuit: { failureRate: 50 } }],
  ["routing.circuit.minCalls", { deployments: [a], circuit: { minCalls: 0 } }],
  ["routing.circuit.windowMs", { deployments: [a], circuit: { windowMs: 0 } }],
  ["routing.circuit.openMs", { deployments: [a], circuit: { openMs: Number.NaN } }],
  ["routing.circuit.halfOpenProbes", { deployments: [a], circuit: { halfOpenProbes: 0 } }],
  ["routing.hedge", { deployments: [a], hedge: 100 }],
  ["routing.hedge.afterMs", { deployments: [a], hedge: { afterMs: -1 } }],
  ["routing.hedge.percentile", { deployments: [a], hedge: { percentile: 95 } }],
  ["routing.hedge.budget", { deployments: [a], hedge: { budget: 0 } }],
  ["routing.fallback.contextWindow", { deployments: [a], fallback: { contextWindow: ["z"] } }],
  ["routing.fallback.contentFilter", { deployments: [a], fallback: { contentFilter: true } }],
  ["routing.fallback.contentFilter", { deployments: [a], fallback: { contentFilter: ["z"] } }],
  ["routing.cascade.first", { deployments: [a], cascade: { accept: () => true } }],
  ["routing.cascade.first", { deployments: [a], cascade: { first: "z", accept: () => true } }],
  ["routing.cascade.accept", { deployments: [a], cascade: { first: "a" } }],
  ["routing.onInterrupt", { deployments: [a], onInterrupt: "resume" }],
];

describe("the options of routes", () => {
  it("are none where there are none", () => {
    expect([resolveRouting(undefined, modelOf), resolveRouting(false, modelOf)]).toEqual([[], []]);
  });

  it("have defaults", () => {
    const { takes: _takes, ...rest } = resolve({});
    const limits = { requestsPerMinute: undefined, tokensPerMinute: undefined, maxConcurrent: undefined };
    const deployment = { target: chat, model: "gpt", weight: 1, priority: 0, contextWindow: undefined, price: undefined, metricsUrl: undefined, tags: [], limits };
    expect(rest).toEqual({
      kind: "chat", strategy: "least-busy", latencyBoundMs: undefined, shared: undefined,
      deployments: [{ id: "a", ...deployment }, { id: "b", ...deployment }],
      rules: {
        circuit: { failureRate: 0.5, minCalls: 5, windowMs: 10_000, openMs: 5_000, halfOpenProbes: 1 },
        hedge: undefined, cascade: undefined, onInterrupt: "error", contextWindow: undefined, contentFilter: [],
      },
    });
  });

  it("are taken as they are given", () => {
    const model = { ...a, weight: 3, priority: 2, requestsPerMinute: 60, tokensPerMinute: 9_000, maxConcurrent: 4, contextWindow: 8_192, price: { input: 1, output: 2 }, metricsUrl: "http://10.0.0.7:8000/metrics", tags: ["eu"] };
    const resolved = resolveRouting({
      deployments: [model, b], strategy: "weighted", latencyBoundMs: 500, circuit: { minCalls: 9 }, hedge: { afterMs: 100, budget: 0.1 }, onInterrupt: "hold",
      fallback: { contextWindow: ["b"], contentFilter: ["b", "a"] }, shared: "redis://localhost",
    }, modelOf)[0]!;
    expect(resolved).toMatchObject({
      strategy: "weighted", latencyBoundMs: 500, shared: "redis://localhost",
      rules: {
        circuit: { failureRate: 0.5, minCalls: 9 }, hedge: { afterMs: 100, percentile: 0.95, budget: 0.1 }, onInterrupt: "hold", contextWindow: ["b"], contentFilter: ["b", "a"],
      },
    });
    expect(resolved.deployments[0]).toEqual({
      id: "a", target: model.model, model: "gpt", weight: 3, priority: 2, contextWindow: 8_192, price: { input: 1, output: 2, cachedInput: 1 }, metricsUrl: model.metricsUrl, tags: ["eu"],
      limits: { requestsPerMinute: 60, tokensPerMinute: 9_000, maxConcurrent: 4 },
    });
  });

  it("may switch circuits, fallbacks and hedges off and on", () => {
    expect(resolve({ circuit: false }).rules.circuit).toBeUndefined();
    expect(resolve({ fallback: { contentFilter: false } }).rules).toMatchObject({ contentFilter: [], contextWindow: undefined });
    expect(resolve({ hedge: true }).rules.hedge).toEqual({ percentile: 0.95, budget: 0.05 });
    expect(resolve({ hedge: false }).rules.hedge).toBeUndefined();
  });

  it("may be those of several pools", () => {
    const pools = resolveRouting([{ deployments: [a] }, { deployments: [{ id: "v", model: vectors }] }], modelOf);
    expect(pools.map(({ kind, deployments }) => [kind, deployments[0]?.id])).toEqual([["chat", "a"], ["embeddings", "v"]]);
  });

  it.each(BAD)("are refused by their name: %s %#", (option, raw) => {
    expect(() => resolveRouting(raw, modelOf)).toThrow(OptionError);
    expect(() => resolveRouting(raw, modelOf)).toThrow(`Option "${option}": wanted `);
  });

  it("name all strategies, each of which is taken", () => {
    for (const strategy of STRATEGY_NAMES) expect(resolve({ strategy }).strategy).toBe(strategy);
    const own = (): string => "a";
    expect(resolve({ strategy: own }).strategy).toBe(own);
  });

  it("take the calls of models of their kind, of those the user's word is for, and of none where that fails", () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    const model = { name: "gpt", kind: "chat" };
    expect([resolve({}).takes(model), resolve({}).takes({ ...model, kind: "llm" })]).toEqual([true, false]);
    expect(resolve({ when: ({ name }: { name: string }) => name === "gpt" }).takes(model)).toBe(true);
    expect(resolve({ when: () => "yes" }).takes(model)).toBe(false);
    expect(resolve({ when: () => { throw new Error("oops"); } }).takes(model)).toBe(false);
    expect(process.emitWarning).toHaveBeenCalledTimes(1);
  });

  it("judge an answer of a cascade by `true` alone, and by nothing that fails", async () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    const judge = (accept: unknown): Promise<boolean> => resolve({ cascade: { first: "a", accept } }).rules.cascade!.accept("answer", "question");
    expect(await Promise.all([() => true, async () => true, () => 1, () => false, () => undefined].map(judge))).toEqual([true, true, false, false, false]);
    const failing = (): never => {
      throw new Error("oops");
    };
    expect(await judge(failing)).toBe(false);
    expect(await judge(async () => failing())).toBe(false);
  });
});

describe("the options of retries", () => {
  it("are LangChain's own where nobody spoke of retries nor of deployments", () => {
    expect(resolveRetry(undefined)(false)).toMatchObject({ maxRetries: undefined, budget: Infinity });
    expect(resolveRetry(false)(false)).toMatchObject({ maxRetries: 0 });
  });

  it("have defaults, by which each deployment is asked", () => {
    const defaults = { maxRetries: 2, isForEach: true, baseDelayMs: 100, maxDelayMs: 30_000, budget: 0.2, on: undefined };
    expect(resolveRetry(undefined)(true)).toEqual(defaults);
    expect(resolveRetry({})(false)).toEqual(defaults);
    expect(resolveRetry({ maxRetries: undefined })(true)).toEqual(defaults);
    expect(resolveRetry({ maxRetries: 0, budget: 0 })(true)).toMatchObject({ maxRetries: 0, isForEach: false, budget: 0 });
  });

  it("judge errors as the user says, and by their kind where that fails", () => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    const judge = (on: unknown): boolean | undefined => resolveRetry({ on })(true).on!(new Error("oops"));
    expect([judge(() => true), judge(() => "yes"), judge(() => { throw new Error("oops"); })]).toEqual([true, false, undefined]);
  });

  it.each([
    ["retry", true], ["retry", 3], ["retry.times", { times: 3 }], ["retry.maxRetries", { maxRetries: -1 }], ["retry.maxRetries", { maxRetries: 1.5 }], ["retry.maxRetries", { maxRetries: Infinity }], ["retry.baseDelayMs", { baseDelayMs: -1 }],
    ["retry.baseDelayMs", { baseDelayMs: 500, maxDelayMs: 100 }], ["retry.maxDelayMs", { maxDelayMs: "1s" }], ["retry.budget", { budget: 1.1 }], ["retry.on", { on: [429] }],
  ])("are refused by their name: %s %#", (option, raw) => {
    expect(() => resolveRetry(raw)).toThrow(`Option "${option}": wanted `);
  });
});

describe("the options of timeouts", () => {
  const read = (raw: object): ReturnType<typeof resolveTimeouts> => resolveTimeouts(new OptionReader("timeouts", raw));

  it("are none, but for streams that nobody reads", () => {
    expect(read({})).toEqual({ attemptMs: Infinity, firstTokenMs: Infinity, stallMs: Infinity, totalMs: Infinity, idleConsumerMs: 300_000 });
  });

  it.each(["attemptMs", "firstTokenMs", "stallMs", "totalMs", "idleConsumerMs"])("are refused by their name: %s", (name) => {
    for (const wrong of [0, -1, "5s", Number.NaN, null]) expect(() => read({ [name]: wrong })).toThrow(`Option "timeouts.${name}": wanted `);
    expect(read({ [name]: 5 })).toMatchObject({ [name]: 5 });
  });
});
