import { ignore } from "../../core/abort.ts";
import { systemClock, type Alarm } from "../../core/clock.ts";

export interface ReportedLoadTools {
  /** Its alarms need not keep the process alive. */
  readonly clock?: Alarm;
  readonly fetch?: typeof globalThis.fetch;
}

const POLL_MS = 1_000;
/** A poll that takes longer has failed. */
const DEADLINE_MS = 500;
/** Whoever has not asked for so long is not polled for. */
const IN_USE_MS = 5_000;
/** What was heard counts for three polls. */
const FRESH_MS = 3 * POLL_MS;
/** A busy server's metrics take some 100 KB. */
const MAX_BYTES = 1_048_576;

const QUIET_CLOCK: Alarm = {
  ...systemClock,
  after(delayMs, work) {
    const timer = setTimeout(work, delayMs).unref();
    return () => clearTimeout(timer);
  },
};

/**
 * How busy a self-hosted server says that it is. Its metrics are read once a second while somebody asks, and a server that says nothing, or nonsense, is not known:
 * nothing throws, nothing waits, and the process is not kept alive for more than a poll's deadline.
 */
export class ReportedLoad {
  readonly #url: string;
  readonly #clock: Alarm;
  readonly #fetch: typeof globalThis.fetch;
  #heard: { readonly inFlight: number; readonly at: number } | undefined;
  #askedAt = -Infinity;
  /** Calls the next poll off; set while polls go on. */
  #cancel: (() => void) | undefined;
  #poll: AbortController | undefined;
  #isClosed = false;

  /** @param url of the metrics in Prometheus' text format, e.g. `http://10.0.0.7:8000/metrics` */
  constructor(url: string, { clock = QUIET_CLOCK, fetch = globalThis.fetch }: ReportedLoadTools = {}) {
    this.#url = url;
    this.#clock = clock;
    this.#fetch = fetch;
  }

  /** Requests that run or wait there; `undefined` = not known, or not of late. */
  get inFlight(): number | undefined {
    const now = this.#clock.elapsed();
    this.#askedAt = now;
    if (!this.#cancel && !this.#isClosed) this.#next();
    return this.#heard && now - this.#heard.at <= FRESH_MS ? this.#heard.inFlight : undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#poll?.abort();
  }

  #next(): void {
    if (this.#clock.elapsed() - this.#askedAt > IN_USE_MS) {
      this.#cancel = undefined;
      return;
    }
    this.#cancel = this.#clock.after(POLL_MS, () => this.#next());
    // A deadline that rings late must not let polls pile up.
    if (!this.#poll) void this.#ask();
  }

  async #ask(): Promise<void> {
    const poll = (this.#poll = new AbortController());
    const cancelDeadline = this.#clock.after(DEADLINE_MS, () => poll.abort());
    const askedAt = this.#clock.elapsed();
    try {
      const response = await this.#fetch(this.#url, { signal: poll.signal });
      const inFlight = await read(response);
      if (inFlight !== undefined) this.#heard = { inFlight, at: askedAt };
    } catch {
      // What was heard before is soon too old, and that is all that follows.
    } finally {
      cancelDeadline();
      this.#poll = undefined;
    }
  }
}

async function read(response: Response): Promise<number | undefined> {
  const reader = response.body?.getReader();
  if (!reader) return undefined;
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  try {
    if (!response.ok) return undefined;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.byteLength;
      if (bytes > MAX_BYTES) return undefined;
      text += decoder.decode(part.value, { stream: true });
    }
  } finally {
    reader.cancel().catch(ignore);
  }
  return requestsIn(text);
}

/** What servers call their requests, waiting and running. */
const GAUGES = new Set([
  "vllm:num_requests_waiting", "vllm:num_requests_running",
  "sglang:num_queue_reqs", "sglang:num_running_reqs",
  "tgi_queue_size", "tgi_batch_current_size",
  "llamacpp:requests_deferred", "llamacpp:requests_processing",
]);
/** Triton with TensorRT-LLM has one name for all kinds of requests, and a label for each kind. */
const TRITON = "nv_trt_llm_request_metrics";
const TRITON_KINDS = /[{,]\s*request_type="(?:waiting|scheduled)"/;

/** A sample in Prometheus' text format: name, labels, value, and perhaps a time. A label's value may hold a brace, or a quote after a backslash. */
const SAMPLE = /^([a-zA-Z_:][\w:]*)(\{(?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*\})?[ \t]+([-+\w.]+)/gm;

/** Requests that run or wait, over all models and engines of a server. @returns nothing when none of the known names is there */
export function requestsIn(metrics: string): number | undefined {
  let sum: number | undefined;
  for (const [, name = "", labels = "", value] of metrics.matchAll(SAMPLE)) {
    if (!GAUGES.has(name) && !(name === TRITON && TRITON_KINDS.test(labels))) continue;
    const requests = Number(value);
    if (requests >= 0 && requests < Infinity) sum = (sum ?? 0) + requests;
  }
  return sum;
}
