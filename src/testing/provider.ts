import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Capacity } from "./capacity.ts";
import { digestRequest } from "./digest.ts";
import { FaultBook } from "./faults.ts";
import { OptionError } from "../core/errors.ts";
import { RequestLog, type SimulatedRequest } from "./log.ts";
import type { ResolvedOptions } from "./options.ts";
import { errorType, IMMEDIATELY, planWithoutAnswer, spoil, whole, type Plan } from "./plan.ts";
import { PromptCache } from "./prompt-cache.ts";
import { seededRandom, type Random } from "./random.ts";
import { RateLimits, type Refusal } from "./rate-limits.ts";
import { BadRequest, type ApiError, type ApiFormat, type Job } from "./reply.ts";
import { send } from "./send.ts";

/** How much sooner the first token comes when the whole prompt is cached. */
const CACHE_SAVING = 0.8;

/** One request on its way through the provider. */
interface Exchange {
  format: ApiFormat;
  request: IncomingMessage;
  response: ServerResponse;
  path: string;
  body: Record<string, unknown>;
  entry: SimulatedRequest;
  signal: AbortSignal;
  arrivedAt: number;
}

/** Everything behind the simulator's API endpoints: faults, limits, capacity, prompt cache, latency and the log. */
export class Provider {
  readonly log: RequestLog;
  readonly faults: FaultBook;
  readonly #options: ResolvedOptions;
  readonly #capacity: Capacity;
  readonly #idPrefix = randomBytes(6).toString("hex");
  #limits: RateLimits;
  #promptCache: PromptCache | undefined;
  #random!: Random;
  #lastId = 0;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.log = new RequestLog(options.logSize);
    this.faults = new FaultBook(seededRandom(options.seed + 1), elapsed);
    this.#capacity = new Capacity(options.capacity.concurrency, options.capacity.maxQueue);
    this.#limits = new RateLimits(options.limits, elapsed);
    this.reset();
  }

  /** Back to the start: log, faults (those of the options return), limits, prompt cache, random numbers. */
  reset(): void {
    this.log.clear();
    this.faults.clear();
    for (const rule of this.#options.faults) this.faults.add(rule);
    this.#limits = new RateLimits(this.#options.limits, elapsed);
    this.#promptCache = this.#options.promptCache && new PromptCache(this.#options.promptCache);
    this.#random = seededRandom(this.#options.seed);
  }

  /** Requests that wait for a place or hold one. */
  get load(): { active: number; waiting: number } {
    return { active: this.#capacity.active, waiting: this.#capacity.waiting };
  }

  /** Answers one request, whatever happens to it. */
  async handle(exchange: Exchange): Promise<void> {
    const { entry, signal } = exchange;
    try {
      await this.#respond(exchange);
      if (entry.outcome === "running") entry.outcome = signal.aborted ? "aborted" : "completed";
    } catch (error) {
      if (!(error instanceof BadRequest) && !(error instanceof OptionError)) throw error;
      const refusal = error instanceof BadRequest ? error : new BadRequest(error.message, error.option);
      entry.outcome = "rejected";
      await this.#sendError(exchange, { status: refusal.status, message: refusal.message, type: errorType(refusal.status), param: refusal.param });
    } finally {
      entry.durationMs = elapsed() - exchange.arrivedAt;
      if (signal.aborted && !exchange.response.headersSent) exchange.response.destroy();
    }
  }

  async #respond(exchange: Exchange): Promise<void> {
    const { format, request, path, entry, signal } = exchange;
    const job = this.#read(exchange);
    const fault = this.faults.strike({ model: job.model, path, header: headerText(request.headers["x-simulate-fault"]) });
    if (fault !== undefined) entry.fault = fault.kind;
    const instead = fault && planWithoutAnswer(fault, format);
    if (instead !== undefined) return this.#sendFaulty(exchange, instead);
    const refusal = this.#limits.admit(job.promptTokens);
    if (refusal !== undefined) return this.#refuse(exchange, refusal);
    const waitsSince = elapsed();
    const release = await this.#capacity.acquire(signal);
    if (release === "aborted") return;
    if (release === "full") return this.#refuseFull(exchange);
    try {
      entry.queuedMs = elapsed() - waitsSince;
      const plan = this.#plan(exchange, job);
      if (fault === undefined) return await this.#send(exchange, plan);
      const spoiled = spoil(plan, fault, format, job.stream);
      // A slow answer is a right one, and one without its closing event is whole.
      await (fault.kind === "slow" || fault.kind === "no-done" ? this.#send(exchange, spoiled) : this.#sendFaulty(exchange, spoiled));
    } finally {
      release();
    }
  }

  #read({ format, body, entry, request, path }: Exchange): Job {
    if (this.#options.recordBodies) entry.body = body;
    entry.model = typeof body.model === "string" ? body.model : undefined;
    entry.stream = body.stream === true;
    entry.digest = digestRequest(`${request.method} ${path}`, request.headers, body);
    const job = format.read(body);
    entry.promptTokens = job.promptTokens;
    return job;
  }

  #plan({ entry }: Exchange, job: Job): Plan {
    const cachedTokens = (job.prefix !== "" && this.#promptCache?.read(job.model, job.prefix)) || 0;
    const reply = job.answer({
      id: `${this.#idPrefix}${(++this.#lastId).toString(36)}`,
      createdAt: Math.floor(Date.now() / 1_000),
      digest: entry.digest!,
      cachedTokens,
      digestInText: this.#options.digestInText,
    });
    this.#limits.spend(reply.completionTokens);
    entry.completionTokens = reply.completionTokens;
    entry.cachedTokens = cachedTokens;
    const { firstTokenMs, interTokenMs } = this.#options.latency(reply.completionTokens, this.#random);
    const firstAfterCache = firstTokenMs * (1 - (CACHE_SAVING * cachedTokens) / Math.max(1, job.promptTokens));
    const shared = { status: 200, headers: {}, ending: "end" as const };
    if (job.stream) {
      return { ...shared, contentType: "text/event-stream; charset=utf-8", frames: reply.frames(), timing: { firstTokenMs: firstAfterCache, interTokenMs } };
    }
    const totalMs = firstAfterCache + interTokenMs * Math.max(0, reply.completionTokens - 1);
    return { ...shared, contentType: "application/json", frames: [whole(JSON.stringify(reply.whole()))], timing: { firstTokenMs: totalMs, interTokenMs: 0 } };
  }

  #refuse(exchange: Exchange, { what, limit, retryAfterMs }: Refusal): Promise<void> {
    exchange.entry.outcome = "rejected";
    const error = { status: 429, type: what, code: "rate_limit_exceeded" };
    if (!Number.isFinite(retryAfterMs)) {
      return this.#sendError(exchange, { ...error, message: `Request too large: the limit is ${limit} ${what} per minute.` });
    }
    const headers = { "retry-after": String(Math.ceil(retryAfterMs / 1_000)), "retry-after-ms": String(Math.ceil(retryAfterMs)) };
    const message = `Rate limit reached: ${limit} ${what} per minute. Please try again in ${Math.ceil(retryAfterMs)}ms.`;
    return this.#sendError(exchange, { ...error, message }, headers);
  }

  #refuseFull(exchange: Exchange): Promise<void> {
    const status = this.#options.capacity.fullStatus;
    exchange.entry.outcome = "rejected";
    const message = "The engine is currently overloaded, please try again later.";
    return this.#sendError(exchange, { status, message, type: errorType(status), code: "overloaded" }, { "retry-after": "1" });
  }

  #sendError(exchange: Exchange, error: ApiError, headers: Record<string, string> = {}): Promise<void> {
    const frames = [whole(JSON.stringify(exchange.format.errorBody(error)))];
    return this.#send(exchange, { status: error.status, contentType: "application/json", headers, frames, timing: IMMEDIATELY, ending: "end" });
  }

  /** Sends what a fault has made; a client that leaves before its end is the one who ended it. */
  async #sendFaulty(exchange: Exchange, plan: Plan): Promise<void> {
    await this.#send(exchange, plan);
    const ownEnd = plan.ending === "destroy" || plan.ending === "reset";
    exchange.entry.outcome = exchange.signal.aborted && !ownEnd ? "aborted" : "failed";
  }

  async #send({ response, entry, format, signal, arrivedAt }: Exchange, plan: Plan): Promise<void> {
    const headers = {
      [format.rateLimitStyle === "openai" ? "x-request-id" : "request-id"]: `req_${this.#idPrefix}${entry.ordinal}`,
      ...(entry.digest !== undefined && { "x-request-digest": entry.digest }),
      ...this.#limits.headers(format.rateLimitStyle),
      ...plan.headers,
    };
    await send(response, { ...plan, headers }, signal, () => {
      entry.status = plan.status;
      entry.ttftMs = elapsed() - arrivedAt;
    });
  }
}

function elapsed(): number {
  return performance.now();
}

function headerText(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(",") : value;
}
