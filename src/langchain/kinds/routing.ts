import type { ChatResult, LLMResult } from "@langchain/core/outputs";
import { Unfit, type Routing } from "../../core/layer.ts";
import { signed, signMessage, type MessageLike } from "../messages.ts";
import { dependsOnProvider, isOutspoken, modelName, type ModelLike, type ModelOptions } from "../models.ts";
import { ownerOf } from "../prototypes.ts";
import { messagesFor } from "../rebinding/messages.ts";
import { optionsFor, type Rebindable } from "../rebinding/options.ts";
import type { PackedPart } from "./chat-parts.ts";
import type { LLMPart } from "./codecs.ts";
import type { EmbeddingsInput } from "./embeddings-joining.ts";
import type { ChatInput, ChatPart, LLMInput } from "./model-inputs.ts";
import { chatReasons, llmReasons } from "./reasons.ts";

/** How a chat call is asked of another chat model. */
export const chatRouting: Routing<ChatInput, ChatPart, PackedPart> = {
  rebind(input, target) {
    if (!isOfType(target, "base_chat_model")) return new Unfit("is no chat model");
    const messages = messagesFor(input.messages, input.model, target);
    // The model that was asked is asked as it was, come what may.
    if (target === input.model) return messages instanceof Unfit || messages === input.messages ? input : { ...input, messages };
    if (messages instanceof Unfit) return messages;
    const options = optionsFor(input.options, input.model, target);
    return options instanceof Unfit ? options : { model: target as ChatInput["model"], messages, options, runManager: input.runManager };
  },
  hasParts: ({ model, options }) => isStreamed(model, options),
  streams: ({ model }) => streams(model),
  isEmpty: ({ mode, parts }) => mode === "invoke" && (parts[0] as ChatResult).generations.length === 0,
  isCut: (answer, { model }) => isCut(chatReasons(answer), model),
  hasSideEffects: ({ model, options }) => dependsOnProvider({ ...options, ...model.invocationParams?.(options) }),
  sign(part, { deployment, model }) {
    const by = { deployment, ...(model === undefined ? {} : { model }) };
    if ("generations" in part) for (const { message } of part.generations) signMessage(message as unknown as MessageLike, by);
    else if ("message" in part) signMessage(part.message as unknown as MessageLike, by);
    else if (part.event === "message-finish") Object.assign(part, { responseMetadata: signed(part.responseMetadata, by) });
  },
};

/** How a call of a completion model is asked of another one. */
export const llmRouting: Routing<LLMInput, LLMPart, LLMPart> = {
  rebind(input, target) {
    if (target === input.model) return input;
    if (!isOfType(target, "base_llm")) return new Unfit("is no completion model");
    const asked = (input.model as Rebindable)._combineCallOptions?.(input.options) ?? input.options;
    const options = target._combineCallOptions?.(asked) ?? asked;
    return { model: target as unknown as LLMInput["model"], prompts: input.prompts, options, runManager: input.runManager };
  },
  // A stream answers one prompt.
  hasParts: ({ model, prompts, options }) => prompts.length === 1 && isStreamed(model, options),
  streams: ({ model }) => streams(model),
  isEmpty: ({ mode, parts }) => mode === "invoke" && (parts[0] as LLMResult).generations.flat().length === 0,
  isCut: (answer, { model }) => isCut(llmReasons(answer), model),
  hasSideEffects: () => false,
};

type Vectors = number[] | number[][];

/** How texts are embedded by another object: one that embeds into the same space, or the vectors would mean nothing beside each other. */
export const embeddingsRouting: Routing<EmbeddingsInput, Vectors, Vectors> = {
  rebind(input, target) {
    if (target === input.embeddings) return input;
    if (typeof (target as { embedQuery?: unknown }).embedQuery !== "function") return new Unfit("embeds nothing");
    const [own, other] = [spaceOf(input.embeddings), spaceOf(target)];
    return own === other ? { ...input, embeddings: target } : new Unfit(`embeds into another space than ${own}: ${other}`);
  },
  hasParts: () => false,
  streams: () => false,
  isEmpty: ({ parts: [vectors] }) => !Array.isArray(vectors) || vectors.length === 0 || (Array.isArray(vectors[0]) && (vectors as number[][]).some((vector) => vector.length === 0)),
  isCut: () => false,
  hasSideEffects: () => false,
};

function spaceOf(embeddings: object): string {
  const { dimensions } = embeddings as { dimensions?: unknown };
  const name = modelName(embeddings) ?? embeddings.constructor.name;
  return dimensions === undefined ? name : `${name} of ${String(dimensions)} dimensions`;
}

function isOfType(target: object, type: string): target is Rebindable {
  return (target as { _modelType?(): string })._modelType?.() === type;
}

/** Whether a model's class streams: LangChain's base classes have the method, too, and throw in it. */
function streams(model: ModelLike): boolean {
  const owner = ownerOf(model, "_streamResponseChunks");
  return owner !== undefined && !Object.hasOwn(owner, "_generateUncached") && (model as { disableStreaming?: unknown }).disableStreaming !== true;
}

/** Whether a model streams this call, though its answer is wanted whole. */
function isStreamed(model: ModelLike, options: ModelOptions): boolean {
  if (!streams(model)) return false;
  const fields = model as ModelLike & Record<string, unknown>;
  const isRefused = SEVERAL.some((name) => Number(options[name] ?? fields[name] ?? 1) > 1);
  return !isRefused && ![options, fields, (fields.modelKwargs ?? {}) as Record<string, unknown>].some(isSpoken);
}

/** Options and fields by which a model gives, or weighs up, several answers: in a stream they mingle, or are refused. */
const SEVERAL = ["n", "bestOf", "best_of"] as const;

function isSpoken({ modalities, audio }: Record<string, unknown>): boolean {
  return (audio !== undefined && audio !== null) || (Array.isArray(modalities) && modalities.includes("audio"));
}

const BROKEN: ReadonlySet<string> = new Set(["error", "network_error", "failed"]);

/** Providers that say how answers end have not said so, or have said that something broke. */
function isCut(reasons: readonly (string | undefined)[], model: ModelLike): boolean {
  if (reasons.some((reason) => reason !== undefined && BROKEN.has(reason.toLowerCase()))) return true;
  return isOutspoken(model) && (reasons.length === 0 || reasons.includes(undefined));
}

