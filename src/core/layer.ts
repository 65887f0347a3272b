import type { CallControl } from "./control.ts";
import type { CallFacts, KindName, Usage } from "./facts.ts";

/**
 * How the caller wants the answer: `invoke` in one part, `stream` in chunks,
 * `events` in the events of LangChain's content-block protocol (chat only).
 */
export type Mode = "invoke" | "stream" | "events";

/**
 * An answer as it is kept: a snapshot of every part, in order, that nobody else can change. `invoke` has exactly one.
 * Who pays for an answer gets the model's own objects; all others get fresh ones made of these.
 */
export interface Answer<Packed = unknown> {
  readonly mode: Mode;
  readonly parts: readonly Packed[];
}

export type Completeness = "complete" | "partial" | "filtered" | "unknown";

/** Who answers a call. */
export interface Backend<In = unknown, Part = unknown> {
  invoke(call: Call<In, Part>): Promise<Part>;
  stream(call: Call<In, Part>): AsyncIterator<Part>;
  /** Hears that the call waits for another's answer and may never be asked here. */
  elsewhere?(): void;
}

/** What surrounds the real work of one request to whoever answers. */
export interface Attempt {
  /** Whether it holds a permit: requests made inside this one must not wait for a place of their own. */
  readonly hasPermit: boolean;
  /** Hears when an HTTP request of it is written: it may have waited for a connection. */
  sent?(): void;
  /** Hears of the status and the headers, names in lower case, of every HTTP response that belongs to the request. */
  heard?(status: number, headers: ReadonlyMap<string, string>): void;
  /** Hears of a failure after which the request would have been made again, up to so many times. Where it is there, nothing inside does so. */
  failed?(error: unknown, maxRetries: number): void;
  /** Hears that the request is made now: it has waited for all that it had to wait for. */
  began?(): void;
  /** Who is asked, of several. */
  readonly deployment?: string | undefined;
  /** Somebody else can be asked as well: then a request that would have to wait is refused at once. @default false */
  readonly isImpatient?: boolean;
}

/** What may be different in a call that a layer hands on. */
export type CallChanges<In = unknown, Part = unknown> = Partial<Pick<Call<In, Part>, "mode" | "signal" | "input" | "backend" | "facts" | "attempt">>;

/** One question on its way to an answer. */
export interface Call<In = unknown, Part = unknown> {
  readonly kind: Kind<In, Part>;
  readonly mode: Mode;
  readonly input: In;
  readonly backend: Backend<In, Part>;
  readonly control: CallControl;
  /** What the answer depends on, hashed. `undefined` when the answer must not be shared. Computed once, when first read. */
  readonly key: string | undefined;
  /** The text behind `key`. */
  readonly identity: string | undefined;
  /** Aborts when the caller, the surrounding stream or the engine gives up. */
  readonly signal: AbortSignal | undefined;
  /** The only mutable part: what happened to this call. */
  readonly facts: CallFacts;
  /** The object that was asked. */
  readonly origin: object | undefined;
  /** The tags that whoever asks gives an answer by what it is. */
  readonly tagsOf: ((whole: unknown) => readonly string[]) | undefined;
  /** The call falls apart into items, each with a key of its own. */
  readonly hasItems: boolean;
  /** The call is one item of another, which is the one that counts. */
  readonly isItem: boolean;
  /** Counts up: a call that was made later has a higher number. */
  readonly number: number;
  /** Keys of the calls inside which this one was made: sharing one of them would wait for itself. */
  readonly held: readonly string[];
  /** Whether `key` means something in this process alone, because the question names objects that live in it. */
  readonly local: boolean;
  /** The snapshots of this call's parts, where a layer below makes them anyway; whole when the last part has come. */
  snapshots: readonly unknown[] | undefined;
  /** The kept answer that this call's parts are snapshots of; set before the first part by the layer that found it. */
  served: Answer | undefined;
  /** The call whose upstream answer this one shares. */
  leader: Call | undefined;
  /** Whether its request waits for a permit. */
  isWaiting: boolean;
  /** What surrounds the request that this call is now; absent above the layers that make it one. */
  readonly attempt: Attempt | undefined;
  /** Whether it was made inside a request that holds a permit. */
  readonly isNested: boolean;
  /** The same call, changed. Its key stays. */
  with(changes: CallChanges<In, Part>): Call<In, Part>;
}

/** What the user said about the identity of calls of a kind. */
export interface OwnIdentity {
  /** Stands for an object that cannot show what its answers depend on; without one it counts by itself. A function names each object. */
  readonly id?: string | ((object: object) => string | undefined);
  /** Stands for the question itself. */
  readonly key?: string;
}

/** How an answer's snapshots travel to other tiers and processes. Stateful: one encoder or decoder per answer, parts in order. */
export interface PartCodec<Packed = unknown> {
  /** The function throws when a part cannot leave this process. */
  encoder(mode: Mode): (packed: Packed) => Uint8Array;
  /** The function throws on anything it does not know. */
  decoder(mode: Mode): (bytes: Uint8Array) => Packed;
}

/** What a request will take, as far as its question shows. */
export interface RequestEstimate {
  /** Everything of the prompt that costs tokens, in the order in which a provider reads it: tools first. */
  readonly texts: readonly string[];
  /** How many of the texts begin the conversation, up to the first that a person said. @default not known */
  readonly openingTexts?: number;
  /** Tokens of the prompt that are in no text: separators of messages, images. */
  readonly extraTokens: number;
  /** The most that the answer may take, where the question says so; 0 where there is none, as with vectors. */
  readonly maxOutputTokens: number | undefined;
  /** Whose way to count, and whose price. */
  readonly model: string | undefined;
}

/** How calls of a kind share a request: each asks for the answers to some texts. */
export interface Joining<In = unknown, Part = unknown> {
  /**
   * With whom a call may share a request: with calls of the same object and name. `undefined` = with none.
   * @param symmetric whether the object answers alike however it is asked; `undefined` = if that is known of it
   */
  lane(input: In, symmetric: boolean | undefined): readonly [origin: object, name: string] | undefined;
  /** The most texts that the object itself puts in one request, if it has a limit. */
  maxBatchSize(input: In): number | undefined;
  texts(input: In): readonly string[];
  /** The question for these texts, asked in the stead of `input`. */
  join(input: In, texts: readonly string[]): In;
  /** The answers to the texts of a question made by `join`; `undefined` = not each of so many has one. */
  split(part: Part, count: number): readonly unknown[] | undefined;
  /** The answer to `input`, of the answers to its texts. */
  part(input: In, answers: readonly unknown[]): Part;
}

/** Why somebody cannot be asked a question. */
export class Unfit {
  /** As a person would say it, after "it", e.g. `cannot take tools in Bedrock's format`. */
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** How calls of a kind are asked of others than they were made of, and what is to be minded. */
export interface Routing<In = unknown, Part = unknown, Packed = unknown> {
  /** The same question for another object, or why that one cannot take it. */
  rebind(input: In, target: object): In | Unfit;
  /** Whether the answer may be read in parts even though it is wanted whole. */
  hasParts(input: In): boolean;
  /** Whether whoever is asked can give its answer in parts at all. */
  streams(input: In): boolean;
  /** Whether there is nothing in an answer: some classes give such in place of a failure. */
  isEmpty(answer: Answer<Part | Packed>): boolean;
  /** Whether an answer that did not fail broke off all the same: those who say how their answers end have not said so. */
  isCut(answer: Answer<Part | Packed>, input: In): boolean;
  /** Whether asking twice may do something twice. */
  hasSideEffects(input: In): boolean;
  /** Writes into a part, the first of a stream or one of events, who gave the answer. Absent = there is no place for that. */
  sign?(part: Part, by: Answerer): void;
}

/** Who gave an answer. */
export interface Answerer {
  readonly deployment: string;
  readonly model: string | undefined;
}

/** Everything that layers know of chat, llm, embeddings, retriever and tool calls. */
export interface Kind<In = unknown, Part = unknown, Packed = unknown> {
  readonly name: KindName;
  /** What the answer depends on, without loss; `undefined` = the answer is never shared. */
  identity(input: In, own: OwnIdentity): string | undefined;
  /** What the user would call the question: messages, prompts, texts, a query, arguments. */
  question(input: In): { readonly asked: unknown; readonly config: object; readonly name?: string };
  /** Names whoever answers, so that what one answerer says of itself (come back later) is not taken for another's. */
  target(input: In): string;
  /** What a request for this answer will take, as far as the question shows; absent for what no limit concerns. */
  estimate?(input: In): RequestEstimate;
  /** How several calls share a request. Absent = never. */
  readonly joining?: Joining<In, Part>;
  /** How others are asked. Absent = nobody else is. */
  readonly routing?: Routing<In, Part, Packed>;
  /** What the user would call the answer: a message, a text, documents, vectors. A copy. */
  whole(answer: Answer<Packed>): unknown;
  /** How the snapshots travel to other tiers and processes. */
  readonly codec: PartCodec<Packed>;
  /** The same answer in another mode. */
  convert(answer: Answer<Packed>, mode: Mode): readonly Packed[] | AsyncIterable<Packed>;
  /** A function that makes snapshots of an answer's parts, small enough to keep. One per answer. */
  packer(mode: Mode): (part: Part) => Packed;
  /** A function that makes fresh parts of an answer's snapshots: new ids, usage marked as not spent again. One per receiver. */
  reissuer(mode: Mode, input: In): (packed: Packed) => Part;
  completeness(answer: Answer<Packed>, input: In): Completeness;
  /** Whether snapshots of this part share nothing with it. Absent = always. */
  copiable?(part: Part): boolean;
  /** Bytes that the answer takes in memory, estimated. */
  sizeOf(answer: Answer<Packed>): number;
  /** The tokens of an answer, of the parts themselves or their snapshots. */
  usage(mode: Mode, parts: readonly (Part | Packed)[]): Usage | undefined;
  /** Whether a streamed part carries content: the first such part ends the time to first token. */
  hasContent(part: Part | Packed): boolean;
}

/** Hides what a kind's snapshots are: nobody but the kind looks into them. */
export function opaque<In, Part, Packed>(kind: Kind<In, Part, Packed>): Kind<In, Part> {
  return kind as unknown as Kind<In, Part>;
}

export type Next = (call: Call) => AsyncIterable<unknown>;

/** Something that acts on calls. One body serves `invoke` and `stream`: `invoke` is a stream of one part. */
export interface Layer {
  readonly name: string;
  /** Answers before anything asynchronous exists, or not at all. */
  immediate?(call: Call): Answer | undefined;
  /** Acts around the call. Absent in a layer that only answers and hears of answers. */
  handle?(call: Call, next: Next): AsyncIterable<unknown>;
  /** Hears of a whole answer that the layers below gave, before or while the caller gets it, and not when the call failed or was left. */
  answered?(call: Call, answer: Answer): void;
  /** Hears that the call failed. */
  failed?(call: Call, error: unknown): void;
}

/** Nests the layers around `innermost`, the first outermost. */
export function compose(layers: readonly Layer[], innermost: Next): Next {
  return layers.reduceRight<Next>((next, layer) => (layer.handle ? (call) => (layer.handle as NonNullable<Layer["handle"]>)(call, next) : next), innermost);
}
