import { linkAbort, raceAbort } from "./abort.ts";
import type { Clock } from "./clock.ts";
import { CacheMissError, DeadlineError } from "./errors.ts";
import { errorFacts, nextCallId, type CallFacts } from "./facts.ts";
import { compose, type Answer, type Call, type Layer, type Mode, type Next } from "./layer.ts";
import { last, once } from "./parts.ts";
import { EngineCall, type KeySpace, type Request } from "./request.ts";
import { CallStream } from "./stream.ts";

/** What options decide about an engine. */
export interface EngineOptions {
  /** Outermost first. */
  readonly layers: readonly Layer[];
  readonly keys: KeySpace;
  readonly clock: Clock;
  /** A stream that nobody reads for this long is ended, milliseconds. */
  readonly idleConsumerMs: number;
  /** Told of every call when it ends. */
  finished(facts: CallFacts): void;
}

/** Runs calls through the layers and writes down what happened to them. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #run: Next;
  readonly #immediate: readonly Layer[];
  readonly #open = new Set<CallStream>();
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#run = compose(options.layers, ask);
    this.#immediate = options.layers.filter((layer) => layer.immediate);
  }

  /** One answer in one part. */
  invoke<In, Part>(request: Request<In, Part>): Promise<Part> {
    const started = this.#options.clock.elapsed();
    const call = this.#begin(request as Request, "invoke", request.signal);
    try {
      request.signal?.throwIfAborted();
      const answer = this.#answerNow(call);
      if (!answer) return this.#invokeThrough(request as Request, call, started) as Promise<Part>;
      const [whole] = call.kind.convert(answer, "invoke") as readonly unknown[];
      const fresh = call.kind.reissuer("invoke", call.input)(whole);
      this.#finish(call, started, answer.mode, answer.parts);
      const heard = request.onShared?.(fresh as Part);
      return heard ? heard.then(() => fresh as Part) : Promise.resolve(fresh as Part);
    } catch (error) {
      this.#fail(call, started, error);
      return Promise.reject(error);
    }
  }

  /** One answer in many parts. Nothing happens before the first part is asked for. */
  stream<In, Part>(request: Request<In, Part>, mode: Exclude<Mode, "invoke">): AsyncGenerator<Part, void, undefined> {
    const { clock } = this.#options;
    let call: EngineCall;
    let started: number;
    let hit: Answer | undefined;
    let shape: ((part: unknown) => unknown) | undefined;
    const stream: CallStream = new CallStream({
      elapsed: () => clock.elapsed(),
      afterPart: request.afterPart as ((part: unknown) => Promise<void> | void) | undefined,
      open: () => {
        const abort = linkAbort(request.signal, request.released);
        started = clock.elapsed();
        call = this.#begin(request as Request, mode, abort.signal);
        this.#watch(stream);
        try {
          abort.signal.throwIfAborted();
          hit = this.#answerNow(call);
        } catch (error) {
          return { abort, source: failing(error) };
        }
        return { abort, source: iterate(hit ? call.kind.convert(hit, mode) : this.#run(call)) };
      },
      deliver: (part) => {
        shape ??= shaper(call, hit !== undefined);
        if (call.facts.timeToFirstTokenMs === undefined && call.kind.hasContent(part)) {
          call.facts.timeToFirstTokenMs = clock.elapsed() - started;
        }
        return shape(part);
      },
      ended: (parts, error) => {
        this.#forget(stream);
        if (error !== undefined) this.#fail(call, started, error);
        else this.#finish(call, started, hit?.mode ?? mode, hit?.parts ?? parts);
      },
    });
    return stream as AsyncGenerator<Part, void, undefined>;
  }

  /** Streams that are open now. */
  get openStreams(): number {
    return this.#open.size;
  }

  #invokeThrough(request: Request, call: EngineCall, started: number): Promise<unknown> {
    const through = request.released ? this.#invokeReleasable(request, call) : this.#whole(call);
    return through.then(
      (whole) => {
        this.#finish(call, started, "invoke", [whole]);
        if (call.facts.coalesced !== "follower") return whole;
        const fresh = call.kind.reissuer("invoke", call.input)(whole);
        const heard = request.onShared?.(fresh);
        return heard ? heard.then(() => fresh) : fresh;
      },
      (error: unknown) => {
        this.#fail(call, started, error);
        throw error;
      },
    );
  }

  /** An `invoke` inside a stream ends with that stream, even if the model is deaf to its signal. */
  #invokeReleasable(request: Request, call: EngineCall): Promise<unknown> {
    const abort = linkAbort(request.signal, request.released);
    return raceAbort(this.#whole(call.withSignal(abort.signal)), abort.signal).finally(() => abort.release());
  }

  #whole(call: Call): Promise<unknown> {
    return this.#options.layers.length === 0 ? call.backend.invoke(call) : last(this.#run(call));
  }

  #answerNow(call: Call): Answer | undefined {
    for (const layer of this.#immediate) {
      const answer = layer.immediate?.(call);
      if (answer) return answer;
    }
    // Without a cache there is nothing to answer from.
    if (call.control.cache === "only" && call.facts.cache === undefined) throw new CacheMissError(call.key);
    return undefined;
  }

  #begin(request: Request, mode: Mode, signal: AbortSignal | undefined): EngineCall {
    const { control } = request;
    const facts: CallFacts = {
      id: nextCallId(),
      kind: request.kind.name,
      mode: mode === "invoke" ? "invoke" : "stream",
      startedAt: this.#options.clock.now(),
      durationMs: 0,
    };
    if (request.runId !== undefined) facts.runId = request.runId;
    if (request.parentRunId !== undefined) facts.parentRunId = request.parentRunId;
    if (request.model !== undefined) facts.model = request.model;
    if (control.tenant !== undefined) facts.tenant = control.tenant;
    if (control.tags !== undefined) facts.tags = control.tags;
    return new EngineCall(request, this.#options.keys, mode, signal, facts);
  }

  #finish(call: EngineCall, started: number, mode: Mode, parts: readonly unknown[]): void {
    const usage = call.kind.usage(mode, parts);
    if (usage) call.facts.usage = usage;
    if (call.answered && call.facts.cache?.key !== undefined) call.answered.push(call.facts.cache.key);
    this.#end(call, started);
  }

  #fail(call: EngineCall, started: number, error: unknown): void {
    call.facts.error = errorFacts(error);
    this.#end(call, started);
  }

  #end({ facts }: EngineCall, started: number): void {
    facts.durationMs = this.#options.clock.elapsed() - started;
    this.#options.finished(facts);
  }

  #watch(stream: CallStream): void {
    this.#open.add(stream);
    const { idleConsumerMs } = this.#options;
    if (this.#sweeper || idleConsumerMs === Infinity) return;
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(10, idleConsumerMs / 4));
    this.#sweeper.unref();
  }

  #forget(stream: CallStream): void {
    this.#open.delete(stream);
    if (this.#open.size > 0 || !this.#sweeper) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #sweep(): void {
    const { clock, idleConsumerMs } = this.#options;
    const now = clock.elapsed();
    for (const stream of this.#open) {
      if (stream.idleSinceMs !== undefined && now - stream.idleSinceMs >= idleConsumerMs) {
        stream.expire(new DeadlineError(`Nobody read this stream for ${idleConsumerMs} ms (timeouts.idleConsumerMs).`));
      }
    }
  }
}

/** The innermost step: the backend itself. */
function ask(call: Call): AsyncIterable<unknown> {
  return call.mode === "invoke" ? once(() => call.backend.invoke(call)) : { [Symbol.asyncIterator]: () => call.backend.stream(call) };
}

/** How parts leave the layers: the model's own for the call that pays, fresh ones for all others. */
function shaper(call: Call, hit: boolean): (part: unknown) => unknown {
  return hit || call.facts.coalesced === "follower" ? call.kind.reissuer(call.mode, call.input) : (part) => part;
}

function failing(error: unknown): AsyncIterator<unknown> {
  return { next: () => Promise.reject(error) };
}

function iterate(parts: readonly unknown[] | AsyncIterable<unknown>): AsyncIterator<unknown> {
  if (Symbol.asyncIterator in parts) return parts[Symbol.asyncIterator]();
  const iterator = parts[Symbol.iterator]();
  return { next: () => Promise.resolve(iterator.next()) };
}
