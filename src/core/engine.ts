import { linkAbort, raceAbort } from "./abort.ts";
import type { Clock } from "./clock.ts";
import { LAST_PRIORITY, type CallControl } from "./control.ts";
import { CacheMissError } from "./errors.ts";
import { copyAnswerer, errorFacts, nextCallId, NO_ATTEMPTS, type CallFacts } from "./facts.ts";
import { isShared, shaper } from "./delivery.ts";
import { compose, type Answer, type Call, type Layer, type Mode, type Next } from "./layer.ts";
import { collectOriginals, keepOf, type Keep } from "./keep.ts";
import { OpenStreams } from "./open-streams.ts";
import { last, once, settled } from "./parts.ts";
import { doubt } from "./provenance.ts";
import { EngineCall, type KeySpace, type Request } from "./request.ts";
import { CallStream, type OpenCall } from "./stream.ts";
import { warn } from "./warn.ts";

/** What options decide about an engine. */
export interface EngineOptions {
  /** What happens to every call and to every item of one, outermost first. */
  readonly layers: readonly Layer[];
  /** What happens to every request that leaves for whoever answers: of the items of a call, those that are asked together. @default none */
  readonly upstream?: readonly Layer[];
  readonly keys: KeySpace;
  readonly clock: Clock;
  /** A stream that nobody reads for this long is ended, milliseconds. */
  readonly idleConsumerMs: number;
  /** Told of every call when it ends, and when that was by the monotonic clock. */
  finished(facts: CallFacts, elapsed: number): void;
  /** Told of every item of a call when it ends. */
  itemFinished(facts: CallFacts): void;
}

const failures = new WeakSet<object>();

/** Whether this is an error that a call ended with, as opposed to one that a program made of its answers. */
export function failedCall(error: unknown): boolean {
  return typeof error === "object" && error !== null && failures.has(error);
}

/** A streamed call that has started. */
interface StreamRun extends OpenCall {
  readonly call: EngineCall;
  readonly started: number;
  /** The cached answer that it is served from. */
  readonly hit: Answer | undefined;
}

/** Runs calls through the layers and writes down what happened to them. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #run: Next;
  readonly #upstream: Next;
  /** Without any layer. */
  readonly #isBare: boolean;
  readonly #immediate: readonly Layer[];
  readonly #keepers: readonly Layer[];
  readonly #hearFailures: readonly Layer[];
  readonly #open: OpenStreams;
  /** Calls that have begun and not ended. */
  #active = 0;
  #idle: (() => void)[] = [];

  constructor(options: EngineOptions) {
    this.#options = options;
    const { layers, upstream = [] } = options;
    this.#open = new OpenStreams(options.clock, options.idleConsumerMs);
    this.#upstream = compose(upstream, ask);
    this.#run = compose(layers, upstream.length === 0 ? ask : (call) => (call.hasItems || call.isItem ? ask(call) : this.#upstream(call)));
    this.#isBare = layers.length + upstream.length === 0;
    this.#immediate = options.layers.filter((layer) => layer.immediate);
    this.#keepers = options.layers.filter((layer) => layer.answered);
    this.#hearFailures = [...layers, ...upstream].filter((layer) => layer.failed);
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
      const fresh = shaper(call, true)(whole) as Part;
      this.#finish(call, started, answer.mode, answer.parts);
      return Promise.resolve(fresh);
    } catch (error) {
      this.#fail(call, started, error);
      return Promise.reject(error);
    }
  }

  /** One answer in many parts. Nothing happens before the first part is asked for. */
  stream<In, Part>(request: Request<In, Part>, mode: Exclude<Mode, "invoke">): AsyncGenerator<Part, void, undefined> {
    const { clock } = this.#options;
    let run: StreamRun;
    let shape: ((part: unknown) => unknown) | undefined;
    let keep: Keep | undefined;
    const stream: CallStream = new CallStream({
      elapsed: () => clock.elapsed(),
      afterPart: request.afterPart as ((part: unknown) => Promise<void> | void) | undefined,
      open: () => {
        this.#open.add(stream);
        return (run = this.#startStream(request as Request, mode));
      },
      deliver: (part) => {
        const { call, hit, started } = run;
        if (!shape) {
          shape = shaper(call, hit !== undefined);
          if (!hit && !call.served) keep = this.#keepers.length > 0 ? keepOf(call) : collectOriginals();
        }
        keep?.add(part);
        if (call.facts.timeToFirstTokenMs === undefined && call.kind.hasContent(part)) {
          call.facts.timeToFirstTokenMs = clock.elapsed() - started;
        }
        return shape(part);
      },
      ended: (error) => {
        const { call, hit, started } = run;
        this.#open.delete(stream);
        if (error !== undefined) return this.#fail(call, started, error);
        if (keep) this.#answered(call, keep);
        const kept = hit ?? call.served;
        this.#finish(call, started, kept?.mode ?? mode, kept?.parts ?? keep?.parts() ?? []);
      },
    });
    return stream as AsyncGenerator<Part, void, undefined>;
  }

  /** Asks a call's question once more, from upstream and for nobody but those who keep answers. */
  async refresh({ request, mode }: Pick<EngineCall, "request" | "mode">): Promise<void> {
    const { kind, input, origin, laterBackend, backend, model, name, tagsOf } = request;
    // Nobody waits for it: it is late for nothing, and comes after those who do wait.
    const control: CallControl = { ...request.control, cache: "refresh", priority: LAST_PRIORITY, deadlineMs: undefined, deadlineAt: undefined };
    const again: Request = { kind, input, origin, model, name, tagsOf, control, backend: laterBackend?.() ?? backend, held: [], background: true };
    if (mode === "invoke") await this.invoke(again);
    else for await (const _ of this.stream(again, mode));
  }

  /** Asks for several items at once, for the call that has them. */
  askUpstream<In, Part>(call: Call<In, Part>): Promise<Part> {
    return last(this.#upstream(call as unknown as Call)) as Promise<Part>;
  }

  #startStream(request: Request, mode: Mode): StreamRun {
    const started = this.#options.clock.elapsed();
    const abort = linkAbort(request.signal, request.released);
    const call = this.#begin(request, mode, abort.signal);
    try {
      abort.signal.throwIfAborted();
      const hit = this.#answerNow(call);
      return { abort, call, started, hit, source: iterate(hit ? call.kind.convert(hit, mode) : this.#run(call)) };
    } catch (error) {
      return { abort, call, started, hit: undefined, source: failing(error) };
    }
  }

  /** Settles when no call is under way. */
  idle(): Promise<void> {
    return this.#active === 0 ? Promise.resolve() : new Promise((resolve) => void this.#idle.push(resolve));
  }

  /** Streams that are open now. */
  get openStreams(): number {
    return this.#open.size;
  }

  #invokeThrough(request: Request, call: EngineCall, started: number): Promise<unknown> {
    const through = request.released ? this.#invokeReleasable(request, call) : this.#whole(call);
    return through.then(
      (whole) => {
        if (this.#keepers.length > 0 && !call.served) {
          const keep = keepOf(call);
          keep.add(whole);
          this.#answered(call, keep);
        }
        this.#finish(call, started, "invoke", [whole]);
        if (!isShared(call)) return whole;
        return shaper(call, false)(whole);
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
    return raceAbort(this.#whole(call.with({ signal: abort.signal })), abort.signal).finally(() => abort.release());
  }

  #whole(call: Call): Promise<unknown> {
    return this.#isBare ? settled(() => call.backend.invoke(call)) : last(this.#run(call));
  }

  #answerNow(call: Call): Answer | undefined {
    for (const layer of this.#immediate) {
      const answer = layer.immediate?.(call);
      if (answer) return answer;
    }
    // Without a cache there is nothing to answer from.
    if (call.control.cache === "only" && call.facts.cache === undefined && !call.hasItems) throw new CacheMissError(call.key);
    return undefined;
  }

  /** A whole answer is kept where that is possible; that it is not must not fail the call. */
  #answered(call: EngineCall, keep: Keep): void {
    // Another model's answer would stand under the name of the one that was asked.
    if ((call.leader ?? call).facts.requestedModel !== undefined) return;
    try {
      const parts = keep.parts();
      if (parts) for (const layer of this.#keepers) layer.answered?.(call, { mode: call.mode, parts });
    } catch (error) {
      warn("an answer is not kept", error);
    }
  }

  #begin(request: Request, mode: Mode, signal: AbortSignal | undefined): EngineCall {
    const { control } = request;
    this.#active += 1;
    // One literal, so that all facts have one shape: they are made and read at every call.
    const facts: CallFacts = {
      id: nextCallId(),
      runId: request.runId,
      parentRunId: request.parentRunId,
      kind: request.kind.name,
      mode: mode === "invoke" ? "invoke" : "stream",
      name: request.name,
      model: request.model,
      startedAt: this.#options.clock.now(),
      durationMs: 0,
      attempts: NO_ATTEMPTS,
      tenant: control.tenant,
      tags: control.tags,
      background: request.background,
    };
    return new EngineCall(request, this.#options.keys, mode, signal, facts);
  }

  #finish(call: EngineCall, started: number, mode: Mode, parts: readonly unknown[]): void {
    const usage = call.kind.usage(mode, parts);
    if (usage) call.facts.usage = usage;
    // Who followed a call that was served from the cache was served from the cache.
    if (call.leader?.served && call.leader.facts.cache) call.facts.cache = call.leader.facts.cache;
    if (call.leader?.facts.deployment !== undefined) copyAnswerer(call.leader.facts, call.facts);
    if (call.facts.cache?.key !== undefined) call.request.answered?.push(call.facts.cache.key);
    if (call.request.within && isDoubtful(call, mode, parts)) doubt(call.request.within);
    this.#end(call, started);
  }

  #fail(call: EngineCall, started: number, error: unknown): void {
    call.facts.error = errorFacts(error);
    if (typeof error === "object" && error !== null) failures.add(error);
    for (const layer of this.#hearFailures) layer.failed?.(call, error);
    this.#end(call, started);
  }

  #end({ facts, request: { itemOf } }: EngineCall, started: number): void {
    const elapsed = this.#options.clock.elapsed();
    facts.durationMs = elapsed - started;
    this.#active -= 1;
    if (this.#active === 0 && this.#idle.length > 0) for (const idle of this.#idle.splice(0)) idle();
    if (!itemOf) return this.#options.finished(facts, elapsed);
    itemOf(facts);
    this.#options.itemFinished(facts);
  }
}

/** The innermost step: the backend itself. */
function ask(call: Call): AsyncIterable<unknown> {
  call.attempt?.began?.();
  return call.mode === "invoke" ? once(() => call.backend.invoke(call)) : { [Symbol.asyncIterator]: () => call.backend.stream(call) };
}

/** Whether an answer must not be kept as a part of something else: it is incomplete, or past its time. */
function isDoubtful({ kind, facts, input }: Call, mode: Mode, parts: readonly unknown[]): boolean {
  if (facts.cache?.status === "stale") return true;
  // What is "partial" only because nobody can copy it is as good as any.
  return !kind.copiable && parts.length > 0 && ["partial", "filtered"].includes(kind.completeness({ mode, parts }, input));
}

function failing(error: unknown): AsyncIterator<unknown> {
  return { next: () => Promise.reject(error) };
}

function iterate(parts: readonly unknown[] | AsyncIterable<unknown>): AsyncIterator<unknown> {
  if (Symbol.asyncIterator in parts) return parts[Symbol.asyncIterator]();
  const iterator = parts[Symbol.iterator]();
  return { next: () => Promise.resolve(iterator.next()) };
}
