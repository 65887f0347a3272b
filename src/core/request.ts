import type { CallControl } from "./control.ts";
import { callCount, type CallFacts } from "./facts.ts";
import { digest } from "./key.ts";
import type { Backend, Call, Kind, Mode } from "./layer.ts";
import { warn } from "./warn.ts";

/** What an adapter asks of the engine. */
export interface Request<In = unknown, Part = unknown> {
  readonly kind: Kind<In, Part>;
  readonly input: In;
  /** The object that was asked: a model, embeddings, a retriever or a tool. */
  readonly origin?: object;
  readonly backend: Backend<In, Part>;
  readonly control: CallControl;
  /** The caller's own signal. */
  readonly signal?: AbortSignal | undefined;
  /** Aborts when the stream around this call is closed while it waits. */
  readonly released?: AbortSignal | undefined;
  readonly held: readonly string[];
  readonly runId?: string | undefined;
  readonly parentRunId?: string | undefined;
  readonly model?: string | undefined;
  /** Collects the keys of answers that were given, so that they can be forgotten if the program refuses them. */
  readonly answered?: string[] | undefined;
  /** Called when the caller has taken a streamed part, before it gets the next. */
  readonly afterPart?: (part: Part) => Promise<void> | void;
  /** Called with an `invoke`'s answer when another call paid for it: the model itself did not run for this caller. */
  readonly onShared?: (part: Part) => Promise<void> | void;
}

/** What separates one call's key from another's besides the question itself. */
export interface KeySpace {
  /** Namespace and tenant as text; `undefined` = this call shares nothing. */
  spaceOf(control: CallControl): string | undefined;
  /** The identity that the options give this call, the kind's own unless they say otherwise; `undefined` = this call shares nothing. */
  identityOf(kind: Kind, input: unknown): string | undefined;
}

/** A request's identity and key, computed when first asked for and then kept. */
class Question {
  readonly #request: Request;
  readonly #space: KeySpace;
  #read = false;
  #identity: string | undefined;
  #key: string | undefined;

  constructor(request: Request, space: KeySpace) {
    this.#request = request;
    this.#space = space;
  }

  get key(): string | undefined {
    this.#resolve();
    return this.#key;
  }

  get identity(): string | undefined {
    this.#resolve();
    return this.#identity;
  }

  #resolve(): void {
    if (this.#read) return;
    this.#read = true;
    const { control, kind, input } = this.#request;
    if (control.cache === "bypass") return;
    try {
      this.#compute(control, kind, input);
    } catch (error) {
      // Neither a key function of the user's own nor an argument that goes in circles may fail the call: it just shares nothing.
      warn(`a ${kind.name} call has no key and shares nothing`, error);
    }
  }

  #compute(control: CallControl, kind: Kind, input: unknown): void {
    const space = this.#space.spaceOf(control);
    if (space === undefined) return;
    const identity = this.#space.identityOf(kind, input);
    if (identity === undefined) return;
    const prefix = `${space}${kind.name}:`;
    const text = prefix + identity;
    this.#key = digest(text);
    // Hashing made one flat string of the many pieces; a slice of it lets the pieces go.
    this.#identity = text.slice(prefix.length);
  }
}

/** The engine's own implementation of `Call`. */
export class EngineCall implements Call {
  snapshots: readonly unknown[] | undefined = undefined;
  readonly mode: Mode;
  readonly signal: AbortSignal | undefined;
  readonly facts: CallFacts;
  readonly number = callCount();
  readonly #request: Request;
  /** Made when the key is first asked for, and then shared by all forms of the call. */
  #question: KeySpace | Question;

  constructor(request: Request, space: KeySpace | Question, mode: Mode, signal: AbortSignal | undefined, facts: CallFacts) {
    this.#request = request;
    this.#question = space;
    this.mode = mode;
    this.signal = signal;
    this.facts = facts;
  }

  get kind(): Kind {
    return this.#request.kind;
  }
  get input(): unknown {
    return this.#request.input;
  }
  get backend(): Backend {
    return this.#request.backend;
  }
  get origin(): object | undefined {
    return this.#request.origin;
  }
  get control(): CallControl {
    return this.#request.control;
  }
  get held(): readonly string[] {
    return this.#request.held;
  }
  get key(): string | undefined {
    return this.#asked().key;
  }
  get identity(): string | undefined {
    return this.#asked().identity;
  }
  get answered(): string[] | undefined {
    return this.#request.answered;
  }

  #asked(): Question {
    if (!(this.#question instanceof Question)) this.#question = new Question(this.#request, this.#question);
    return this.#question;
  }

  withSignal(signal: AbortSignal): Call {
    return new EngineCall(this.#request, this.#asked(), this.mode, signal, this.facts);
  }
}
