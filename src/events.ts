import { OptionError, type StoreError } from "./core/errors.ts";
import type { CallFacts, TierName } from "./core/facts.ts";

/** A tier of the cache failed. The call it was for went on without it. */
export interface StoreErrorEvent {
  tier: TierName;
  /** What was asked of it, e.g. `get`, `set` or `invalidate`. */
  operation: string;
  error: StoreError;
  /** Milliseconds since the epoch. */
  at: number;
}

/** A deployment's circuit has changed its state. */
export interface CircuitEvent {
  /** Its `id`. */
  deployment: string;
  from: "closed" | "open" | "half-open";
  to: "closed" | "open" | "half-open";
  /** Share of failures in the circuit's window, 0 to 1. */
  failureRate: number;
  /** Milliseconds since the epoch. */
  at: number;
}

/** Something that somebody should see to. */
export interface AlertEvent {
  /** What kind of thing, e.g. `deployment-disabled`: a wrong key, an empty account, a model that is gone. */
  rule: string;
  severity: "warning" | "critical";
  message: string;
  /** Whom it is about, and of what it failed. */
  deployment?: string;
  reason?: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** Events of a perf, by name. */
export interface PerfEvents {
  /** A call has ended. With a listener, the runs of chains are reported too. */
  call: CallFacts;
  "store-error": StoreErrorEvent;
  circuit: CircuitEvent;
  alert: AlertEvent;
}

type Listeners = { readonly [E in keyof PerfEvents]: Set<(event: PerfEvents[E]) => void> };

/** Who listens to a perf. */
export class Events {
  readonly #name: string;
  readonly #listeners: Listeners = { call: new Set(), "store-error": new Set(), circuit: new Set(), alert: new Set() };

  /** @param name of the perf */
  constructor(name: string) {
    this.#name = name;
  }

  isHeard(event: keyof PerfEvents): boolean {
    return this.#listeners[event].size > 0;
  }

  /** @throws OptionError for an event that does not exist */
  on<E extends keyof PerfEvents>(event: E, listener: (event: PerfEvents[E]) => void): () => void {
    if (!Object.hasOwn(this.#listeners, event)) throw new OptionError("on", `one of the events ${Object.keys(this.#listeners).map((name) => `"${name}"`).join(", ")}`, event);
    if (typeof listener !== "function") throw new OptionError("on", "a function that hears of the event", listener);
    const heard = (told: PerfEvents[E]): void => listener(told);
    const listeners = this.#listeners[event] as Set<typeof heard>;
    listeners.add(heard);
    return () => listeners.delete(heard);
  }

  tell<E extends keyof PerfEvents>(event: E, told: PerfEvents[E]): void {
    for (const listener of this.#listeners[event]) {
      try {
        listener(told);
      } catch (error) {
        // A listener is the user's code, and the call is over: its failure must not become the call's.
        process.emitWarning(`A listener of perf "${this.#name}" failed: ${String(error)}`);
      }
    }
  }

  clear(): void {
    for (const listeners of Object.values(this.#listeners)) listeners.clear();
  }
}
