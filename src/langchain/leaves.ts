import type { Engine } from "../core/engine.ts";
import type { Backend, Call, Mode } from "../core/layer.ts";
import type { KindName } from "../core/facts.ts";
import { itemsBackend } from "../core/items.ts";
import type { Provenance } from "../core/provenance.ts";
import type { Request } from "../core/request.ts";
import { chatKind, type ChatInput, type ChatPart } from "./kinds/chat.ts";
import { llmKind, type LLMInput, type LLMPart } from "./kinds/llm.ts";
import type { EmbeddingsInput } from "./kinds/embeddings-joining.ts";
import { embeddingsKind, retrieverKind, toolKind } from "./kinds/plain.ts";
import { surroundingRunId } from "./config.ts";
import { modelName, type LLMRunManager, type ModelLike, type ModelOptions } from "./models.ts";
import { currentScope, inScope, leafScope, type LeafWork, type Scope } from "./scope.ts";

/** Kinds of calls that LangChain's own classes make. */
export type LeafKind = Exclude<KindName, "chain" | "function">;
type Method = (this: object, ...args: unknown[]) => unknown;
/** Answers a leaf's call inside a scope. */
type Answer = (self: object, original: Method, args: unknown[], scope: Scope) => unknown;

/** The methods, per kind, that do a call's real work. They sit below LangChain's callbacks: a hit is still exactly one run. */
export const LEAVES: Readonly<Record<LeafKind, Readonly<Record<string, Answer>>>> = {
  chat: { _generate: ask(chatRequest, "invoke"), _streamResponseChunks: ask(chatRequest, "stream"), _streamChatModelEvents: ask(chatRequest, "events") },
  llm: { _generate: ask(llmRequest, "invoke"), _streamResponseChunks: ask(llmRequest, "stream") },
  embeddings: { embedQuery: embed("embedQuery"), embedDocuments: embed("embedDocuments") },
  retriever: {
    _getRelevantDocuments: (self, original, args, scope) =>
      plainCall({ kind: retrieverKind, input: { retriever: self, query: args[0] as string } }, self, original, args, scope, args[1]),
  },
  tool: {
    _call: (self, original, args, scope) => {
      const config = (args[2] ?? {}) as { signal?: AbortSignal };
      const request = { kind: toolKind, input: { tool: self, args: args[0], config }, signal: config.signal };
      return plainCall(request, self, original, args, scope, args[1]);
    },
  },
};

/** The leaf as it stands on the class afterwards: outside a scope, and inside a leaf of its own kind, it falls straight through. */
export function interceptLeaf(kind: LeafKind, method: string, original: Method): Method {
  const answer = LEAVES[kind][method] as Answer;
  return function (this: object, ...args: unknown[]): unknown {
    const scope = currentScope();
    if (!scope || scope.leaf?.kind === kind) return original.apply(this, args);
    return answer(this, original, args, scope);
  };
}

/** By which method a model is asked for an answer in this mode. */
const METHODS: Readonly<Record<Mode, string>> = { invoke: "_generate", stream: "_streamResponseChunks", events: "_streamChatModelEvents" };

interface ModelInput {
  readonly model: object & ModelLike;
  readonly options: ModelOptions;
  readonly runManager: LLMRunManager | undefined;
}

/** What an adapter makes of a leaf's arguments. */
interface ModelQuestion<In> {
  readonly kind: Request<In, ModelPart>["kind"];
  readonly input: In;
  /** The first argument of the method for this mode. */
  asked(input: In, mode: Mode): unknown;
}

type ModelPart = ChatPart | LLMPart;
type ModelRequest = Request<ModelInput, ModelPart>;
type Arguments<Question> = [question: Question, options: ModelOptions | undefined, runManager: LLMRunManager | undefined];

function ask(questionOf: (self: object, args: unknown[]) => ModelQuestion<ModelInput>, mode: Mode): Answer {
  return (self, original, args, scope) => modelCall(modelRequest(questionOf(self, args), mode, original, scope), mode, scope);
}

function chatRequest(self: object, args: unknown[]): ModelQuestion<ModelInput> {
  const [messages, options = {}, runManager] = args as Arguments<ChatInput["messages"]>;
  const input: ChatInput = { model: self as ChatInput["model"], messages, options, runManager };
  return { kind: chatKind, input, asked: ({ messages: asked }: ChatInput) => asked } as unknown as ModelQuestion<ModelInput>;
}

function llmRequest(self: object, args: unknown[]): ModelQuestion<ModelInput> {
  const [prompts, options = {}, runManager] = args as Arguments<string | string[]>;
  const input: LLMInput = { model: self as LLMInput["model"], prompts: typeof prompts === "string" ? [prompts] : prompts, options, runManager };
  // A stream has one prompt, `_generate` a list of them.
  return { kind: llmKind, input, asked: ({ prompts: asked }: LLMInput, mode: Mode) => (mode === "invoke" ? asked : asked[0]) } as unknown as ModelQuestion<ModelInput>;
}

function modelRequest({ kind, input, asked }: ModelQuestion<ModelInput>, mode: Mode, original: Method, scope: Scope): ModelRequest {
  const { model, options, runManager } = input;
  const leafOf = (call: Call<ModelInput, ModelPart>): Method =>
    call.input.model === model && call.mode === mode ? original : ((call.input.model as unknown as Record<string, Method>)[METHODS[call.mode]] as Method);
  // Another model than the one whose run it is may be asked, and a whole answer in parts: what counts is the call at that time.
  const answer = (call: Call<ModelInput, ModelPart>, manager: LLMRunManager | undefined): unknown =>
    leafOf(call).call(call.input.model, asked(call.input, call.mode), withSignal(call.input.options, call.signal), manager);
  const backendFor = (manager: LLMRunManager | undefined): Backend<ModelInput, ModelPart> => ({
    // Where another deployment may have to answer instead, what one says is told when it is whole.
    invoke: (call) => inLeaf(scope, call, () => answer(call, isOneOfSeveral(call) ? manager && withoutTokens(manager) : manager)) as Promise<ModelPart>,
    stream: (call) => leafIterator(scope, call, () => answer(call, manager && withoutTokens(manager)) as AsyncIterator<ModelPart>),
  });
  // A run that is over hears of no more tokens.
  const laterBackend = (): Backend<ModelInput, ModelPart> => backendFor(undefined);
  return requestOf(kind, input, backendFor(runManager), scope, { origin: model, run: runManager, model: modelName(model), signal: options.signal, laterBackend });
}

/**
 * The real leaf runs without token callbacks; each reader's own run manager hears of the parts that the reader gets.
 * An `invoke` that streams inside (`streaming: true`) keeps its manager: its tokens have no other way out.
 */
function modelCall(request: ModelRequest, mode: Mode, scope: Scope): unknown {
  const { engine } = scope.perf;
  const { runManager } = request.input;
  const listened = runManager !== undefined && runManager.handlers.length > 0;
  if (mode !== "invoke") return engine.stream(listened && mode === "stream" ? { ...request, afterPart: (part) => tellToken(runManager, part) } : request, mode);
  const { model } = request.input;
  if (!listened || model.streaming !== true) return engine.invoke(request);
  return invokeAloud(request, runManager, scope);
}

function isOneOfSeveral({ attempt }: Pick<Call, "attempt">): boolean {
  return attempt?.deployment !== undefined;
}

/** An `invoke` whose tokens somebody hears: as they come where the model itself tells them, else when they are whole. */
async function invokeAloud(request: ModelRequest, runManager: LLMRunManager, { perf: { engine } }: Scope): Promise<ModelPart> {
  let isTold = false;
  const { backend } = request;
  const whole = await engine.invoke({
    ...request,
    backend: { ...backend, invoke: (call) => ((isTold = !isOneOfSeveral(call)), backend.invoke(call)) },
  });
  if (!isTold) await tellWhole(runManager, whole);
  return whole;
}

function tellToken(runManager: LLMRunManager, part: ModelPart): Promise<void> {
  const { text, generationInfo: info } = part as { text: string; generationInfo?: { prompt?: number; completion?: number } };
  return runManager.handleLLMNewToken(text ?? "", { prompt: info?.prompt ?? 0, completion: info?.completion ?? 0 }, undefined, undefined, undefined, { chunk: part });
}

async function tellWhole(runManager: LLMRunManager, part: ModelPart): Promise<void> {
  const [first] = ((part as { generations: unknown[] }).generations ?? []).flat() as { text: string }[];
  if (first) await runManager.handleLLMNewToken(first.text);
}

const silence = async (): Promise<void> => {};

function withoutTokens(runManager: LLMRunManager): LLMRunManager {
  return Object.create(runManager, { handleLLMNewToken: { value: silence } }) as LLMRunManager;
}

function withSignal(options: ModelOptions, signal: AbortSignal | undefined): ModelOptions {
  return signal === undefined || options.signal === signal ? options : { ...options, signal };
}

function embed(method: EmbeddingsInput["method"]): Answer {
  return (self, original, args, scope) => {
    const text = args[0] as string | readonly string[];
    const input: EmbeddingsInput = { embeddings: self, method, text };
    // Calls that share a request are asked by the other method, or for the texts of others too: what counts is the input at that time.
    const backend: Backend<EmbeddingsInput, Vectors> = {
      invoke: (call) => inLeaf(scope, call, () => askForVectors(call.input, self, method, original)),
      stream: () => noStream("embeddings"),
    };
    const request = requestOf(embeddingsKind, input, backend, scope, { origin: self, run: { parentRunId: surroundingRunId() }, model: modelName(self as ModelLike) });
    const { engine } = scope.perf;
    if (!Array.isArray(text) || text.length === 0) return engine.invoke(request);
    return engine.invoke({ ...request, hasItems: true, backend: eachText(engine, request, text) });
  };
}

function askForVectors({ embeddings, method, text }: EmbeddingsInput, self: object, asked: EmbeddingsInput["method"], original: Method): Promise<Vectors> {
  const leaf = embeddings === self && method === asked ? original : (embeddings as Record<typeof method, Method>)[method];
  return leaf.call(embeddings, text) as Promise<Vectors>;
}

/** Each text is a question of its own, and those that have to be asked go together. */
function eachText(engine: Engine, { input, backend, ...request }: Request<EmbeddingsInput, Vectors>, texts: readonly string[]): Backend<EmbeddingsInput, Vectors> {
  return itemsBackend(engine, request, {
    inputs: texts.map((text) => ({ ...input, text })),
    ask: (items, call) => engine.askUpstream(call.with({ input: { ...input, text: items.map(({ text }) => text as string) }, backend })) as Promise<number[][]>,
  });
}

function noStream(kind: KindName): never {
  throw new Error(`A ${kind} call has no stream.`);
}

function plainCall<In, Part>(
  { kind, input, model, signal }: { kind: Request<In, Part>["kind"]; input: In; model?: string | undefined; signal?: AbortSignal | undefined },
  self: object, original: Method, args: unknown[], scope: Scope, runManager: unknown,
): Promise<Part> {
  const backend: Backend<In, Part> = {
    // A tool that several wait for must not hear the signal of the first alone.
    invoke: (call) => inLeaf(scope, call, () => original.apply(self, call.facts.coalesced && kind.name === "tool" ? withConfigSignal(args, call.signal) : args)) as Promise<Part>,
    stream: () => noStream(kind.name),
  };
  return scope.perf.engine.invoke(requestOf(kind, input, backend, scope, { origin: self, run: runManager as RunIds | undefined, model, signal }));
}

function withConfigSignal([input, runManager, config]: unknown[], signal: AbortSignal | undefined): unknown[] {
  return [input, runManager, { ...(config as object | undefined), signal }];
}

interface RunIds {
  runId?: string | undefined;
  parentRunId?: string | undefined;
}

function requestOf<In, Part>(
  kind: Request<In, Part>["kind"], input: In, backend: Backend<In, Part>, scope: Scope,
  { origin, run, model, signal, laterBackend }: {
    origin: object; run: RunIds | undefined; model: string | undefined; signal?: AbortSignal | undefined; laterBackend?: Request<In, Part>["laterBackend"];
  },
): Request<In, Part> {
  return {
    kind, input, backend, laterBackend, origin, model, signal,
    control: scope.control,
    held: heldIn(scope),
    isNested: scope.leaf?.hasPermit === true,
    within: scope.leaf?.within,
    released: scope.released,
    // A program that refuses an answer does not refuse the vectors by which it found its way there.
    answered: kind.name === "embeddings" ? undefined : scope.answered,
    runId: run?.runId,
    parentRunId: run?.parentRunId,
  };
}

type Vectors = number[] | number[][];

const NONE: readonly string[] = [];

type LeafCall = Pick<Call, "facts" | "key" | "signal"> & Partial<Pick<Call, "attempt">> & { readonly kind: { readonly name: KindName } };

/** A call that nobody may join needs no key: it is not even asked for. */
function sharedBy(call: LeafCall): { key: string; signal: AbortSignal | undefined } | undefined {
  return call.facts.coalesced && call.key !== undefined ? { key: call.key, signal: call.signal } : undefined;
}

function leafWork(call: LeafCall, within?: Provenance): LeafWork {
  return { kind: call.kind.name, shared: sharedBy(call), within, attempt: call.attempt };
}

/** Keys of the calls that wait for what runs in this scope. */
export function heldIn(scope: Scope): readonly string[] {
  return scope.leaf?.held ?? NONE;
}

/** Runs real work marked as a leaf, below the run's span. */
export function inLeaf<T>(scope: Scope, call: LeafCall, work: () => T, within?: Provenance): T {
  return inScope(leafScope(scope, leafWork(call, within)), belowRun(scope, call.facts.runId, work));
}

/** An async generator runs its body in the context of whoever asks for the next part: here always in the leaf's. */
function leafIterator<Part>(scope: Scope, call: LeafCall, open: () => AsyncIterator<Part>): AsyncIterator<Part> {
  const inside = leafScope(scope, leafWork(call));
  const { runId } = call.facts;
  const parts = iteratorOf(inScope(inside, belowRun(scope, runId, open)));
  const next = belowRun(scope, runId, () => parts.next());
  return {
    next: () => inScope(inside, next),
    return: (value) => (parts.return ? inScope(inside, belowRun(scope, runId, () => (parts.return as NonNullable<typeof parts.return>)(value))) : Promise.resolve({ done: true, value })),
  };
}

/** LangChain reads a leaf's stream by `for await`: whatever that takes, a model may give. */
function iteratorOf<Part>(parts: AsyncIterator<Part> | AsyncIterable<Part> | Iterable<Part>): AsyncIterator<Part> {
  if (Symbol.asyncIterator in parts) return parts[Symbol.asyncIterator]();
  if (!(Symbol.iterator in parts)) return parts;
  const each = parts[Symbol.iterator]();
  return { next: async () => each.next() };
}

function belowRun<T>(scope: Scope, runId: string | undefined, work: () => T): () => T {
  return runId === undefined ? work : () => scope.perf.within(runId, work);
}
