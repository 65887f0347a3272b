import type { Price } from "../../core/price.ts";
import type { RoutingStrategy } from "./own-strategy.ts";
import type { StrategyName } from "./strategies/all.ts";

/** A backend that may answer, and what it can take. */
export interface DeploymentOptions<Model extends object = object> {
  /** Names it in facts, events and spans, and in Redis. Unique in a perf. */
  id: string;
  /** A chat model, an LLM or embeddings of LangChain, with its own key, endpoint and parameters. */
  model: Model;
  /** Its share, relative to the others' of its tier: by `weighted`, and as its size by the strategies that look at load. @default 1 */
  weight?: number;
  /** Its tier: those of a higher number are asked only while none of a lower one can be. @default 0 */
  priority?: number;
  /** Its own quotas; who would have to wait for one is sent elsewhere where that is possible. @default none */
  requestsPerMinute?: number;
  tokensPerMinute?: number;
  /** Requests under way at once. @default any number */
  maxConcurrent?: number;
  /** Tokens of the model's window: after a context-length error one with a larger window is asked. @default unknown */
  contextWindow?: number;
  /** USD per million tokens. @default the model's in `pricing` */
  price?: Price;
  /** Where a self-hosted server tells its load in Prometheus' format (vLLM, SGLang, TGI, llama.cpp, Triton), asked once a second while there are calls. @default none */
  metricsUrl?: string;
  /** For your own strategy. @default none */
  tags?: string[];
}

/** When a deployment that fails is not asked any more, and when again. */
export interface RoutingCircuitOptions {
  /** Share of failures that opens it, above 0 to 1. @default 0.5 */
  failureRate?: number;
  /** It does not open before so many calls of the window have ended; after twice as many failures in a row it opens whatever the rate. @default 5 */
  minCalls?: number;
  /** @default 10_000 */
  windowMs?: number;
  /** How long it stays open before a call may try; the deployment then gets its usual share back within as long again. @default 5_000 */
  openMs?: number;
  /** Calls that must succeed, one after the other, to close it. @default 1 */
  halfOpenProbes?: number;
}

/** Deployments that answer the same calls, and how they share them. */
export interface RoutingOptions<Model extends object = object> {
  /** Which models' calls these deployments answer. @default all of the deployments' kind */
  when?(model: { name: string; kind: "chat" | "llm" | "embeddings" }): boolean;
  /** @default "least-busy" */
  strategy?: StrategyName | RoutingStrategy;
  /** `lowest-cost`: who is expected to take longer is not asked, milliseconds. @default 2 × what the fastest is expected to take */
  latencyBoundMs?: number;
  deployments: DeploymentOptions<Model>[];
  /** @default on */
  circuit?: false | RoutingCircuitOptions;
  /** Asks a second deployment when the first is slow. @default off */
  hedge?: boolean | {
    /** How long the first content may take, milliseconds. @default learned, for each deployment by itself */
    afterMs?: number;
    /** Of the learned times, above 0 to 1. @default 0.95 */
    percentile?: number;
    /** The most hedges, as a share of the calls, above 0 to 1. @default 0.05 */
    budget?: number;
  };
  /** Who is asked where another attempt at the same would not help. */
  fallback?: {
    /** After a context-length error: ids, in this order. @default whoever has a larger `contextWindow` */
    contextWindow?: string[];
    /** After an answer, or a prompt, was filtered: ids, in this order. @default false: it stays so */
    contentFilter?: false | string[];
  };
  /** Asks a small or quantised deployment first, and the others when its whole answer is not accepted. A stream begins when that is decided. @default none */
  cascade?: {
    /** The small one's id. */
    first: string;
    /** `answer`: a message, a text or vectors. Anything but `true`, a failure too, is a "no". */
    accept(answer: unknown, input: unknown): boolean | Promise<boolean>;
  };
  /** A stream that breaks off after parts were given: `error` ends it with `StreamInterruptedError`; with `hold` nothing is given before the answer is whole, so that another deployment can give it. @default "error" */
  onInterrupt?: "error" | "hold";
  /** A Redis in which all processes with the same `name` tell each other of open circuits, of refusals and of their load: a URL or a client of ioredis. Quotas of deployments are shared by it, too. @default this process alone */
  shared?: string | object;
}

/** When failed requests are made again. */
export interface RetryOptions {
  /** Attempts after the first. @default 2, and at least as many as there are other deployments */
  maxRetries?: number;
  /** The shortest pause before the same deployment is asked again, milliseconds; each is drawn from this one to three times the last. @default 100 */
  baseDelayMs?: number;
  /** The longest pause; a provider that wants more patience (`retry-after`) gets none. @default 30_000 */
  maxDelayMs?: number;
  /** Share of the calls that may be retries, 0 to 1; 30 in any ten seconds may be in any case. Going on to a deployment that is well costs nothing of it. @default 0.2 */
  budget?: number;
  /** Whether an error is worth another attempt. @default by its kind */
  on?(error: unknown): boolean;
}

/** How long anything may take, milliseconds. */
export interface TimeoutOptions {
  /** One attempt, from when it is sent to its end. @default none */
  attemptMs?: number;
  /** From when it is sent to the first content. @default none */
  firstTokenMs?: number;
  /** Between two parts of an answer. @default none */
  stallMs?: number;
  /** A call with all its attempts and waits. @default none */
  totalMs?: number;
  /** A stream that nobody reads for this long is ended. @default 300_000 */
  idleConsumerMs?: number;
}
