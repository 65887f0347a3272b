import { AbortWatch } from "../../core/abort.ts";
import { systemClock, type Alarm } from "../../core/clock.ts";
import type { Call, Layer, Next } from "../../core/layer.ts";
import { once } from "../../core/parts.ts";
import { Asker } from "./asker.ts";
import { Lane } from "./lane.ts";
import { batchSizeOf, batchTokensOf, type ResolvedBatch } from "./options.ts";

/** Lets calls for different answers of the same kind share requests: what is asked for at about the same time goes in one. */
export class Batch implements Layer {
  readonly name = "batch";
  readonly #options: ResolvedBatch;
  readonly #clock: Alarm;
  readonly #tokensPerMinute: number | undefined;
  /** Lanes with somebody in them, by whom they lead to. */
  readonly #lanes = new Map<object, Map<string, Lane>>();
  readonly #aborts = new AbortWatch<Asker>((asker, reason) => asker.fail(reason));
  readonly #done = (asker: Asker): void => {
    const { signal } = asker.call;
    if (signal) this.#aborts.remove(signal, asker);
  };

  /** @param tokensPerMinute that the limits below allow */
  constructor(options: ResolvedBatch, clock: Alarm = systemClock, tokensPerMinute?: number) {
    this.#options = options;
    this.#tokensPerMinute = tokensPerMinute;
    this.#clock = clock;
  }

  /** Whether nobody waits and no request is under way. */
  get isIdle(): boolean {
    return this.#lanes.size === 0;
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const { joining } = call.kind;
    const lane = joining?.lane(call.input, this.#options.symmetric);
    if (!joining || !lane) return next(call);
    return once(() => {
      const { signal } = call;
      if (signal?.aborted) return Promise.reject(signal.reason);
      const asker = new Asker(call, next, joining, this.#done);
      if (signal) this.#aborts.add(signal, asker);
      this.#lane(lane, asker).add(asker);
      return asker.promise;
    });
  }

  #lane([origin, name]: readonly [object, string], { call, joining }: Asker): Lane {
    let lanes = this.#lanes.get(origin);
    if (!lanes) this.#lanes.set(origin, (lanes = new Map<string, Lane>()));
    const key = `${name} ${classOf(call)}`;
    const existing = lanes.get(key);
    if (existing) return existing;
    const lane = new Lane({
      maxBatchSize: batchSizeOf(this.#options, joining.maxBatchSize(call.input)),
      maxBatchTokens: batchTokensOf(this.#options.maxBatchTokens, this.#tokensPerMinute),
      maxWaitMs: this.#options.maxWaitMs,
      clock: this.#clock,
      idle: () => this.#close(origin, key),
    });
    lanes.set(key, lane);
    return lane;
  }

  #close(origin: object, key: string): void {
    const lanes = this.#lanes.get(origin);
    lanes?.delete(key);
    if (lanes?.size === 0) this.#lanes.delete(origin);
  }
}

/**
 * Calls that limits treat differently do not share a request: those inside of a request that holds a permit must not wait behind others
 * for a place that this request would have to give up, none loses its priority, or its deadline, to another, and none gives up because another has a substitute.
 */
function classOf({ isNested, control: { priority, deadlineAt, hasSubstitute } }: Call): string {
  return `${isNested} ${priority} ${deadlineAt !== undefined} ${hasSubstitute === true}`;
}
