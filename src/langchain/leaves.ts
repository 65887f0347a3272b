import type { Engine } from "../core/engine.ts";
import type { Backend, Mode } from "../core/layer.ts";
import type { KindName } from "../core/facts.ts";
import { itemsBackend } from "../core/items.ts";
import type { Request } from "../core/request.ts";
import { chatKind } from "./kinds/chat.ts";
import { llmKind } from "./kinds/llm.ts";
import type { ChatInput, LLMInput } from "./kinds/model-inputs.ts";
import type { EmbeddingsInput } from "./kinds/embeddings-joining.ts";
import { embeddingsKind, retrieverKind, toolKind } from "./kinds/plain.ts";
import { surroundingRunId } from "./config.ts";
import { heldIn, inLeaf } from "./leaf-work.ts";
import { isOneOfSeveral, ModelBackend, type ModelInput, type ModelPart, type ModelQuestion } from "./model-backend.ts";
import { modelName, type LLMRunManager, type ModelLike, type ModelOptions } from "./models.ts";
import { currentScope, type Scope } from "./scope.ts";

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

type ModelRequest = Request<ModelInput, ModelPart>;
type Arguments<Question> = [question: Question, options: ModelOptions | undefined, runManager: LLMRunManager | undefined];

function ask(questionOf: (self: object, args: unknown[]) => ModelQuestion, mode: Mode): Answer {
  return (self, original, args, scope) => modelCall(modelRequest(questionOf(self, args), mode, original, scope), mode, scope);
}

function chatRequest(self: object, args: unknown[]): ModelQuestion {
  const [messages, options = {}, runManager] = args as Arguments<ChatInput["messages"]>;
  const input: ChatInput = { model: self as ChatInput["model"], messages, options, runManager };
  return { kind: chatKind, input, asked: askedMessages } as unknown as ModelQuestion;
}

function askedMessages({ messages }: ChatInput): unknown {
  return messages;
}

function llmRequest(self: object, args: unknown[]): ModelQuestion {
  const [prompts, options = {}, runManager] = args as Arguments<string | string[]>;
  const input: LLMInput = { model: self as LLMInput["model"], prompts: typeof prompts === "string" ? [prompts] : prompts, options, runManager };
  return { kind: llmKind, input, asked: askedPrompts } as unknown as ModelQuestion;
}

/** A stream has one prompt, `_generate` a list of them. */
function askedPrompts({ prompts }: LLMInput, mode: Mode): unknown {
  return mode === "invoke" ? prompts : prompts[0];
}

function modelRequest(question: ModelQuestion, mode: Mode, original: Method, scope: Scope): ModelRequest {
  const { kind, input } = question;
  const { model, options, runManager } = input;
  const leaf = { question, mode, original, scope };
  // A run that is over hears of no more tokens.
  const laterBackend = (): ModelBackend => new ModelBackend(leaf, undefined);
  return requestOf(kind, input, new ModelBackend(leaf, runManager), scope, { origin: model, run: runManager, model: modelName(model), signal: options.signal, laterBackend });
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

/** An `invoke` whose tokens somebody hears: as they come where the model itself tells them, else when they are whole. */
async function invokeAloud(request: ModelRequest, runManager: LLMRunManager, { perf: { engine } }: Scope): Promise<ModelPart> {
  let isTold = false;
  const { backend } = request;
  const whole = await engine.invoke({
    ...request,
    backend: { stream: (call) => backend.stream(call), invoke: (call) => ((isTold = !isOneOfSeveral(call)), backend.invoke(call)) },
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
