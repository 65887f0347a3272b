import type { CallControl } from "./control.ts";
import { callCount, type CallFacts } from "./facts.ts";
import { digest, instancesAsked } from "./key.ts";
import type { Answer, Attempt, Backend, Call, CallChanges, Kind, Mode } from "./layer.ts";
import type { Provenance } from "./provenance.ts";
import { warn } from "./warn.ts";

/** What an adapter asks of the engine. */
export interface Request<In = unknown, Part = unknown> {
  readonly kind: Kind<In, Part>;
  readonly input: In;
  /** The object that was asked: a model, embeddings, a retriever or a tool. */
  readonly origin?: object | undefined;
  readonly backend: Backend<In, Part>;
  /** Makes the backend that answers the same question later, when the caller's run is over. @default `backend` */
  readonly laterBackend?: (() => Backend<In, Part>) | undefined;
  readonly control: CallControl;
  /** Tags that the answer gets by itself. */
  readonly tagsOf?: ((whole: unknown) => readonly string[]) | undefined;
  /** The caller's own signal. */
  readonly signal?: AbortSignal | undefined;
  /** Aborts when the stream around this call is closed while it waits. */
  readonly released?: AbortSignal | undefined;
  readonly held: readonly string[];
  /** The call is made inside a request that holds a permit. */
  readonly isNested?: boolean;
  readonly runId?: string | undefined;
  readonly parentRunId?: string | undefined;
  readonly model?: string | undefined;
  /** Name of what was called, where calls of its kind have one. */
  readonly name?: string | undefined;
  /** The call falls apart into items, each with a key of its own; it has none itself. */
  readonly hasItems?: boolean;
  /** The call is one item of another and no call of its own for those who listen; its facts go here. */
  readonly itemOf?: (facts: CallFacts) => void;
  /** What is kept of the result that the answer becomes a part of, e.g. of the function around. */
  readonly within?: Provenance | undefined;
  /** Nobody waits for the answer. */
  readonly background?: boolean;
  /** Collects the keys of answers that were given, so that they can be forgotten if the program refuses them. */
  readonly answered?: string[] | undefined;
  /** Called when the caller has taken a streamed part, before it gets the next. */
  readonly afterPart?: (part: Part) => Promise<void> | void;
}

/** What separates one call's key from another's besides the question itself. */
export interface KeySpace {
  /** Namespace and tenant as text; `undefined` = this call shares nothing. */
  spaceOf(control: CallControl): string | undefined;
  /** The identity that the options give this call, the kind's own unless they say otherwise; `undefined` = this call shares nothing. */
  identityOf(kind: Kind, input: unknown): string | undefined;
}

/** The engine's own implementation of `Call`. Its key is computed when first asked for, and then kept. */
export class EngineCall implements Call {
  readonly request: Request;
  readonly mode: Mode;
  readonly signal: AbortSignal | undefined;
  readonly facts: CallFacts;
  readonly number = callCount();
  readonly #space: KeySpace;
  snapshots: readonly unknown[] | undefined = undefined;
  leader: Call | undefined = undefined;
  isWaiting = false;
  #served: Answer | undefined = undefined;
  #read = false;
  #local = false;
  #identity: string | undefined = undefined;
  #key: string | undefined = undefined;

  constructor(request: Request, space: KeySpace, mode: Mode, signal: AbortSignal | undefined, facts: CallFacts) {
    this.request = request;
    this.#space = space;
    this.mode = mode;
    this.signal = signal;
    this.facts = facts;
  }

  get kind(): Kind {
    return this.request.kind;
  }
  get input(): unknown {
    return this.request.input;
  }
  get backend(): Backend {
    return this.request.backend;
  }
  get origin(): object | undefined {
    return this.request.origin;
  }
  get hasItems(): boolean {
    return this.request.hasItems === true;
  }
  get tagsOf(): ((whole: unknown) => readonly string[]) | undefined {
    return this.request.tagsOf;
  }
  get isItem(): boolean {
    return this.request.itemOf !== undefined;
  }
  get control(): CallControl {
    return this.request.control;
  }
  get held(): readonly string[] {
    return this.request.held;
  }
  get key(): string | undefined {
    if (!this.#read) this.#resolve();
    return this.#key;
  }
  get identity(): string | undefined {
    if (!this.#read) this.#resolve();
    return this.#identity;
  }
  get local(): boolean {
    if (!this.#read) this.#resolve();
    return this.#local;
  }
  get served(): Answer | undefined {
    return this.#served ?? this.leader?.served;
  }
  set served(answer: Answer | undefined) {
    this.#served = answer;
  }

  get attempt(): undefined {
    return undefined;
  }
  get isNested(): boolean {
    return this.request.isNested === true;
  }

  with(changes: CallChanges): Call {
    return new ChangedCall(this, this, changes);
  }

  #resolve(): void {
    this.#read = true;
    if (this.control.cache === "bypass" || this.hasItems) return;
    try {
      this.#compute();
    } catch (error) {
      // Neither a key function of the user's own nor an argument that goes in circles may fail the call: it just shares nothing.
      warn(`a ${this.kind.name} call has no key and shares nothing`, error);
    }
  }

  #compute(): void {
    const space = this.#space.spaceOf(this.control);
    if (space === undefined) return;
    const instances = instancesAsked();
    const identity = this.#space.identityOf(this.kind, this.input);
    if (identity === undefined) return;
    this.#local = instancesAsked() !== instances;
    const prefix = `${space}${this.kind.name}:`;
    const text = prefix + identity;
    this.#key = digest(text);
    // Hashing made one flat string of the many pieces; a slice of it lets the pieces go.
    this.#identity = text.slice(prefix.length);
  }
}

/** A call of which something was changed; all else is the call's own. */
class ChangedCall implements Call {
  readonly #call: EngineCall;
  readonly signal: AbortSignal | undefined;
  readonly kind: Kind;
  readonly mode: Mode;
  readonly input: unknown;
  readonly backend: Backend;
  readonly facts: CallFacts;
  readonly attempt: Attempt | undefined;

  /** @param call the engine's own. @param before that of which something changes */
  constructor(call: EngineCall, before: Call, { mode, signal, input, backend, facts, attempt }: CallChanges) {
    this.#call = call;
    this.kind = call.kind;
    this.mode = mode ?? before.mode;
    this.signal = signal ?? before.signal;
    this.input = input ?? before.input;
    this.backend = backend ?? before.backend;
    this.facts = facts ?? before.facts;
    this.attempt = attempt ?? before.attempt;
  }

  get request(): Request {
    return this.#call.request;
  }
  get origin(): object | undefined {
    return this.#call.origin;
  }
  get hasItems(): boolean {
    return this.#call.hasItems;
  }
  get tagsOf(): ((whole: unknown) => readonly string[]) | undefined {
    return this.#call.tagsOf;
  }
  get isItem(): boolean {
    return this.#call.isItem;
  }
  get control(): CallControl {
    return this.#call.control;
  }
  get number(): number {
    return this.#call.number;
  }
  get held(): readonly string[] {
    return this.#call.held;
  }
  get key(): string | undefined {
    return this.#call.key;
  }
  get identity(): string | undefined {
    return this.#call.identity;
  }
  get local(): boolean {
    return this.#call.local;
  }
  get snapshots(): readonly unknown[] | undefined {
    return this.#call.snapshots;
  }
  set snapshots(snapshots: readonly unknown[] | undefined) {
    this.#call.snapshots = snapshots;
  }
  get leader(): Call | undefined {
    return this.#call.leader;
  }
  set leader(leader: Call | undefined) {
    this.#call.leader = leader;
  }
  get isWaiting(): boolean {
    return this.#call.isWaiting;
  }
  set isWaiting(isWaiting: boolean) {
    this.#call.isWaiting = isWaiting;
  }
  get served(): Answer | undefined {
    return this.#call.served;
  }
  set served(answer: Answer | undefined) {
    this.#call.served = answer;
  }

  get isNested(): boolean {
    return this.#call.isNested;
  }

  with(changes: CallChanges): Call {
    return new ChangedCall(this.#call, this, changes);
  }
}
