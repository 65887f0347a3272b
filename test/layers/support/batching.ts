import { NO_WISHES, type CallControl } from "../../../src/core/control.ts";
import type { Alarm } from "../../../src/core/clock.ts";
import { Engine } from "../../../src/core/engine.ts";
import type { CallFacts } from "../../../src/core/facts.ts";
import type { Backend, Layer } from "../../../src/core/layer.ts";
import { OptionReader } from "../../../src/core/options.ts";
import type { EmbeddingsInput } from "../../../src/langchain/kinds/embeddings-joining.ts";
import { embeddingsKind } from "../../../src/langchain/kinds/plain.ts";
import { Batch } from "../../../src/layers/batch/layer.ts";
import { resolveBatch, type BatchOptions } from "../../../src/layers/batch/options.ts";

type Vectors = number[] | number[][];

/** A clock that stands still until the test moves it. */
export class ManualAlarm implements Alarm {
  #now = 0;
  #timers: { readonly at: number; work(): void }[] = [];
  /** Delays that were asked for. */
  readonly delays: number[] = [];

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(delayMs: number, work: () => void): () => void {
    this.delays.push(delayMs);
    const timer = { at: this.#now + delayMs, work };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  advance(byMs: number): void {
    this.#now += byMs;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { work } of due) work();
  }

  get waiting(): number {
    return this.#timers.length;
  }
}

/** One request as the provider got it. */
export interface Asked {
  readonly method: EmbeddingsInput["method"];
  readonly texts: readonly string[];
  readonly signal: AbortSignal | undefined;
}

/** What each text is embedded as, whoever asks. */
export function vectorOf(text: string): number[] {
  return [text.length, ...[...text].map((char) => char.codePointAt(0) as number)];
}

export interface BatchingOptions extends BatchOptions {
  /** Answers a request, or throws. @default each text's vector */
  answer?(asked: Asked, nth: number): Promise<Vectors> | Vectors;
  /** Above the batch. */
  above?: Layer;
  /** Below the batch. */
  below?: Layer;
}

interface Wish {
  readonly embeddings?: object;
  readonly signal?: AbortSignal;
  readonly control?: Partial<CallControl>;
  readonly isNested?: boolean;
}

/** An engine that has the layer and nothing else, and a provider that writes down its requests. */
export function batching({ answer, above, below, ...options }: BatchingOptions = {}) {
  const clock = new ManualAlarm();
  const batch = new Batch(resolveBatch(new OptionReader("batch", options)), clock);
  const facts: CallFacts[] = [];
  const asked: Asked[] = [];
  const engine = new Engine({
    layers: above ? [above] : [],
    upstream: below ? [batch, below] : [batch],
    keys: { spaceOf: () => undefined, identityOf: () => undefined },
    clock,
    idleConsumerMs: Infinity,
    finished: (ended) => void facts.push(ended),
    itemFinished: () => {},
  });
  const backend: Backend<EmbeddingsInput, Vectors> = {
    invoke: async ({ input: { method, text }, signal }) => {
      const request: Asked = { method, texts: typeof text === "string" ? [text] : text, signal };
      asked.push(request);
      if (answer) return answer(request, asked.length);
      return typeof text === "string" ? vectorOf(text) : text.map(vectorOf);
    },
    stream: () => {
      throw new Error("Embeddings have no stream.");
    },
  };
  const usual = {};
  const call = (method: EmbeddingsInput["method"], text: EmbeddingsInput["text"], { embeddings = usual, signal, control, isNested = false }: Wish): Promise<Vectors> =>
    engine.invoke<EmbeddingsInput, Vectors>({ kind: embeddingsKind, input: { embeddings, method, text }, origin: embeddings, backend, signal, control: { ...NO_WISHES, ...control }, held: [], isNested });
  return {
    clock, batch, facts, asked,
    query: (text: string, wish: Wish = {}) => call("embedQuery", text, wish) as Promise<number[]>,
    documents: (texts: readonly string[], wish: Wish = {}) => call("embedDocuments", texts, wish) as Promise<number[][]>,
  };
}
