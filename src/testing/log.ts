/** How a request ended; `running` until it has. */
export type RequestOutcome = "running" | "completed" | "rejected" | "failed" | "aborted";

/** One request as the simulated provider saw it. */
export interface SimulatedRequest {
  /** The ordinal since the start or the last `reset()`, from 1. */
  ordinal: number;
  /** When it arrived, milliseconds since the epoch. */
  time: number;
  path: string;
  model?: string;
  /** Of the whole request, `stream` and `stream_options` left out. */
  digest?: string;
  stream: boolean;
  /** The HTTP status sent; absent when none was. */
  status?: number;
  promptTokens?: number;
  completionTokens?: number;
  /** Prompt tokens that the provider-side prompt cache held. */
  cachedTokens?: number;
  /** Time spent waiting for a place to work. */
  queuedMs?: number;
  /** From arrival to the first part of the answer. */
  ttftMs?: number;
  durationMs?: number;
  /** `rejected`: refused by limits, capacity or validation; `failed`: by a fault. */
  outcome: RequestOutcome;
  /** The fault that was applied, as `kind`. */
  fault?: string;
  /** The request's body, with `recordBodies`. */
  body?: unknown;
}

/** Fields that must be equal, or a predicate. */
export type RequestFilter =
  | Partial<Pick<SimulatedRequest, "path" | "model" | "digest" | "stream" | "status" | "outcome" | "fault">>
  | ((request: SimulatedRequest) => boolean);

/** The newest `size` requests, and the number of all. */
export class RequestLog {
  #entries: SimulatedRequest[] = [];
  #total = 0;
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  begin(path: string): SimulatedRequest {
    const entry: SimulatedRequest = { ordinal: ++this.#total, time: Date.now(), path, stream: false, outcome: "running" };
    this.#entries.push(entry);
    // Trimmed in blocks: shifting a long array for every request would cost more than the request.
    if (this.#entries.length > this.#size * 1.25 + 16) this.#entries = this.#entries.slice(-this.#size);
    return entry;
  }

  get entries(): SimulatedRequest[] {
    return this.#entries.slice(-this.#size);
  }

  /** Without a filter exact since the start; with one, among the entries kept. */
  count(filter?: RequestFilter): number {
    return filter === undefined ? this.#total : this.filter(filter).length;
  }

  filter(filter: RequestFilter): SimulatedRequest[] {
    if (typeof filter === "function") return this.entries.filter(filter);
    const wanted = Object.entries(filter).filter(([, value]) => value !== undefined);
    return this.entries.filter((entry) => wanted.every(([key, value]) => entry[key as keyof SimulatedRequest] === value));
  }

  clear(): void {
    this.#entries = [];
    this.#total = 0;
  }
}
