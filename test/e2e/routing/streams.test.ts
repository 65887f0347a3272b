import { ChatAnthropic } from "@langchain/anthropic";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { ChatOpenAI } from "@langchain/openai";
import { withPerf, type PerfOptions } from "langchain-perf";
import type { Simulator } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { RunTreeRecorder, type RunNode } from "../../support/run-tree.ts";
import { eventually } from "../../support/services/eventually.ts";
import { APIS, askedOf, faultyAndSound, listeningPerf, quiet, read, simulator, WAYS_TO_READ, type Api, type ChatLike, type Model } from "./providers.ts";

/** Its answer is shorter than the faulty one's: what leaks shows. */
const WINNER = ["word0", " word1", " word2", " word3", " word4"];

type Routing = Exclude<NonNullable<PerfOptions["routing"]>, false | unknown[]>;

/** A model that fails, a sound one besides, and a perf over both. */
async function failover(api: Api, fault: string, options: Partial<Routing> = {}) {
  const { faulty, sound } = await faultyAndSound(fault);
  const model = APIS[api](faulty);
  const listening = listeningPerf({
    routing: { deployments: [{ id: "faulty", model }, { id: "sound", model: APIS[api](sound, "chunks-5"), priority: 1 }], ...options },
    timeouts: { firstTokenMs: 20_000 },
  });
  return { ...listening, model, faulty, sound };
}

/** How a loser is left: before anything of it was given, after some that was held back, and for another that was faster. */
const LOSERS: [name: string, fault: string, options: Partial<Routing>][] = [
  ["that broke off before its first word", "end=0", {}],
  ["that broke off in the middle, held back", "cut=3", { onInterrupt: "hold" }],
  ["that was slower", "slow=60000", { hedge: { afterMs: 1, budget: 1 } }],
];

const full = (tokens: readonly string[]): string[] => tokens.filter((token) => token !== "");
const apis = Object.keys(APIS) as Api[];

describe.each(apis)("callbacks at %s", (api) => {
  it.each(LOSERS)("hear the tokens of the winner alone, once, and not of one %s", async (_name, fault, options) => {
    const { perf, model, faulty, sound } = await failover(api, fault, options);
    const recorder = new RunTreeRecorder();
    const { text, error } = await read("stream", withPerf(model, perf) as ChatLike, { callbacks: [recorder] });
    expect([text, error]).toEqual([WINNER.join(""), undefined]);
    expect(recorder.roots).toMatchObject([{ type: "chat", ends: 1, errors: [], children: [] }]);
    expect(full(recorder.roots[0]?.tokens ?? [])).toEqual(WINNER);
    await quiet(perf, faulty, sound);
  });

  it.each(LOSERS)("of streamEvents v2 hear no other tokens of one %s", async (_name, fault, options) => {
    const { perf, model } = await failover(api, fault, options);
    const tokens: string[] = [];
    for await (const { event, data } of withPerf(model.pipe(new StringOutputParser()), perf).streamEvents("Hello", { version: "v2" })) {
      if (event === "on_chat_model_stream") tokens.push((data.chunk as { text: string }).text);
    }
    expect(full(tokens)).toEqual(WINNER);
  });
});

describe("an invoke of a model that streams by itself", () => {
  const streaming = ({ anthropicBaseURL }: Simulator, model: string): ChatAnthropic =>
    new ChatAnthropic({ model, apiKey: "b", anthropicApiUrl: anthropicBaseURL, maxTokens: 100, streaming: true, maxRetries: 0 });
  const tokensOf = async (target: ChatAnthropic): Promise<string> => {
    const recorder = new RunTreeRecorder();
    expect((await target.invoke("Hello", { callbacks: [recorder] })).text).toBe(WINNER.join(""));
    return (recorder.roots[0]?.tokens ?? []).join("");
  };

  it.each<[string, PerfOptions["timeouts"]]>([["read whole", {}], ["read in parts", { firstTokenMs: 20_000 }]])("tells the winner's tokens, %s, and no others", async (_name, timeouts) => {
    const { faulty, sound } = await faultyAndSound("cut=3");
    const model = streaming(faulty, "chunks-8");
    const { perf } = listeningPerf({ routing: { deployments: [{ id: "faulty", model }, { id: "sound", model: streaming(sound, "chunks-5"), priority: 1 }] }, timeouts: timeouts ?? {} });
    expect(await tokensOf(streaming(sound, "chunks-5"))).toBe(WINNER.join(""));
    expect(await tokensOf(withPerf(model, perf))).toBe(WINNER.join(""));
  });
});

/** What a tree of runs looks like, whoever answered. */
function shapeOf({ name, type, tokens, ends, errors, children }: RunNode): object {
  return { name, type, tokens: full(tokens), ends, errors, children: children.map(shapeOf) };
}

describe("the runs of a chain", () => {
  it.each(["invoke", "stream", "batch"] as const)("are those of the unwrapped chain, by %s", async (way) => {
    const { perf, model, faulty } = await failover("OpenAI", "status=503,probability=0.5");
    const sound = await simulator();
    const chainOf = (asked: Model) => ChatPromptTemplate.fromTemplate("Say {what}").pipe(asked).pipe(new StringOutputParser());
    const runsOf = async (chain: ReturnType<typeof chainOf>): Promise<object[]> => {
      const recorder = new RunTreeRecorder();
      const config = { callbacks: [recorder] };
      if (way === "invoke") await chain.invoke({ what: "hello" }, config);
      else if (way === "stream") await Array.fromAsync(await chain.stream({ what: "hello" }, config));
      else await chain.batch([{ what: "hello" }, { what: "goodbye" }], config);
      expect(recorder.strays).toEqual([]);
      return recorder.roots.map(shapeOf);
    };
    // The model that is asked names the run; whose answer it is the facts say.
    const expected = await runsOf(chainOf(APIS.OpenAI(sound, "chunks-5")));
    perf.addDeployment({ id: "same", model: APIS.OpenAI(sound, "chunks-5"), priority: 1 });
    faulty.fault("status=503");
    expect(await runsOf(withPerf(chainOf(model), perf))).toEqual(expected);
  });
});

/** Where a call may have to wait; at none of them anything would come within a minute. */
const WAITS: Record<string, { faults: string[]; options?: Partial<PerfOptions>; isAtWork?: false }> = {
  "for a response": { faults: ["silent"] },
  "for a first token": { faults: ["stall=0"] },
  "for the next token": { faults: ["stall=3"] },
  "during a backoff": { faults: ["status=503"], options: { retry: { baseDelayMs: 60_000, maxDelayMs: 60_000 } }, isAtWork: false },
  "as long as a provider wants": { faults: ["status=429,retry-after=20"], isAtWork: false },
};

const timed: PerfOptions["timeouts"] = { firstTokenMs: 60_000, stallMs: 60_000 };

describe("an abort by the caller", () => {
  const cases = Object.keys(WAITS).flatMap((wait) => WAYS_TO_READ.flatMap((way) => [{}, timed].map((timeouts) => ({ wait, way, timeouts, limits: Object.keys(timeouts).length > 0 ? "with" : "without" }))));
  it.each(cases)("ends $way at once that waits $wait, $limits timeouts, and leaves nothing behind", async ({ wait, way, timeouts }) => {
    const { faults, options, isAtWork } = WAITS[wait] as (typeof WAITS)[string];
    const faulty = await simulator({ faults });
    const model = APIS.OpenAI(faulty);
    const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "faulty", model }] }, timeouts, ...options });
    const aborting = new AbortController();
    const reading = read(way, withPerf(model, perf) as ChatLike, { signal: aborting.signal });
    await eventually(() => faulty.count() === 1 && (isAtWork === false ? perf.deployments()[0]?.inFlight === 0 : faulty.count({ outcome: "running" }) === 1));
    const startedAt = performance.now();
    aborting.abort(new Error("enough"));
    expect((await reading).error).toMatchObject({ message: "enough" });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await quiet(perf, faulty);
    await eventually(() => calls.length === 1);
    expect([calls[0]?.attempts.length, faulty.count()]).toEqual([1, 1]);
    if (isAtWork !== false) expect(faulty.requests[0]?.outcome).toBe("aborted");
    // Whoever left says nothing of the deployment.
    expect(perf.deployments()[0]).toMatchObject({ failures: isAtWork === false ? 1 : 0 });
  });

  it.each(WAYS_TO_READ)("ends %s that waits for a deployment's quota, and the place is not lost", async (way) => {
    const provider = await simulator({ faults: ["silent,times=1"] });
    const model = APIS.OpenAI(provider);
    const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "only", model, maxConcurrent: 1 }] } });
    const fast = withPerf(model, perf) as ChatLike;
    const [holding, waiting] = [new AbortController(), new AbortController()];
    const held = read(way, fast, { signal: holding.signal });
    await eventually(() => provider.count() === 1);
    const waits = read(way, fast, { signal: waiting.signal });
    await eventually(() => perf.deployments()[0]?.inFlight === 2);
    waiting.abort(new Error("enough"));
    expect((await waits).error).toMatchObject({ message: "enough" });
    await eventually(() => perf.deployments()[0]?.inFlight === 1);
    holding.abort(new Error("enough"));
    expect((await held).error).toMatchObject({ message: "enough" });
    await quiet(perf, provider);
    expect((await read(way, fast)).text).toBe("word0 word1 word2 word3 word4 word5 word6 word7");
    expect(provider.count()).toBe(2);
    await eventually(() => calls.length === 3);
    expect(calls.map(({ attempts }) => attempts.length).toSorted()).toEqual([0, 1, 1]);
  });
});

describe("a stream that is left early", () => {
  it.each(apis)("of %s ends upstream", async (api) => {
    const provider = await simulator({ faults: ["stall=3"] });
    const model = APIS[api](provider);
    for (const timeouts of [{}, timed]) {
      const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "only", model }] }, timeouts });
      for await (const { text } of await withPerf(model, perf).stream("Hello")) if (text.includes("word1")) break;
      await quiet(perf, provider);
      await eventually(() => calls.length === 1);
      expect(provider.requests.at(-1)?.outcome).toBe("aborted");
      expect(perf.deployments()[0]).toMatchObject({ requests: 1, failures: 0 });
    }
  });
});

describe("retries of others", () => {
  const kinds: [string, ConstructorParameters<typeof ChatOpenAI>[0]][] = [["six that a model asks for", { maxRetries: 6 }], ["those that LangChain and OpenAI's client make by themselves", {}]];
  it.each(kinds.flatMap(([name, fields]) => WAYS_TO_READ.map((way) => [name, way, fields] as const)))("are not made inside an attempt: %s, by %s", async (_name, way, fields) => {
    const provider = await simulator({ faults: ["status=500"] });
    for (const retry of [false, { maxRetries: 1, baseDelayMs: 1 }] as const) {
      provider.reset();
      const model = new ChatOpenAI({ model: "chunks-8", apiKey: "a", ...fields, configuration: { ...fields?.configuration, baseURL: provider.baseURL } });
      const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "only", model }] }, retry });
      expect((await read(way, withPerf(model, perf) as ChatLike)).error).toMatchObject({ status: 500 });
      expect(provider.count()).toBe(retry ? 2 : 1);
      expect(calls.map(askedOf)).toEqual([retry ? ["only server", "only server"] : ["only server"]]);
    }
  });
});
