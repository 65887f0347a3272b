import type { RequestEstimate } from "../../core/layer.ts";
import { modelName, type ModelLike, type ModelOptions } from "../models.ts";

/** What separates messages, and begins the answer, in OpenAI's chat format, tokens. */
const TOKENS_PER_MESSAGE = 4;
/** An image of high detail, or a piece of sound or a page or two of a file, tokens: providers charge from 85 to a few thousand. */
const TOKENS_PER_MEDIUM = 1_000;

/** Names under which LangChain's models keep the bound of an answer. */
const BOUNDS = ["max_completion_tokens", "max_output_tokens", "max_tokens", "maxTokens", "maxOutputTokens", "maxCompletionTokens", "maxTokensToSample", "num_predict", "numPredict"] as const;
const ASKED = ["tools", "functions", "response_format"] as const;

interface Contents {
  readonly texts: string[];
  media: number;
}

interface EstimatedMessage {
  readonly type?: string;
  readonly content: unknown;
  readonly tool_calls?: readonly unknown[];
}

/** What a chat request takes. */
export function chatEstimate(model: ModelLike, messages: readonly EstimatedMessage[], options: ModelOptions): RequestEstimate {
  const contents: Contents = { texts: [], media: 0 };
  // In the order in which providers read it: a turn more, and all before it is as it was.
  for (const name of ASKED) if (options[name] !== undefined) contents.texts.push(textOf(options[name]));
  let openingTexts: number | undefined;
  for (const { content, tool_calls: calls, type } of messages) {
    addContent(contents, content);
    if (calls?.length) contents.texts.push(textOf(calls));
    if (type === "human") openingTexts ??= contents.texts.length;
  }
  return {
    texts: contents.texts,
    ...(openingTexts === undefined ? {} : { openingTexts }),
    extraTokens: messages.length * TOKENS_PER_MESSAGE + contents.media * TOKENS_PER_MEDIUM,
    maxOutputTokens: answersBound(model, options),
    model: modelName(model),
  };
}

/** What a request of a completion model takes. */
export function llmEstimate(model: ModelLike, prompts: readonly string[], options: ModelOptions): RequestEstimate {
  const bound = answersBound(model, options);
  return { texts: prompts, extraTokens: 0, maxOutputTokens: bound === undefined ? undefined : bound * prompts.length, model: modelName(model) };
}

/** What a request for vectors takes. */
export function embeddingsEstimate(embeddings: object, text: string | readonly string[]): RequestEstimate {
  return { texts: typeof text === "string" ? [text] : text, extraTokens: 0, maxOutputTokens: 0, model: modelName(embeddings) };
}

function answersBound(model: ModelLike, options: ModelOptions): number | undefined {
  const completions = Number(options.n ?? (model as { n?: unknown }).n ?? 1);
  for (const holder of [options, model as unknown as Record<string, unknown>]) {
    for (const name of BOUNDS) {
      const bound = holder[name];
      // -1 stands for none.
      if (typeof bound === "number" && bound > 0) return bound * (completions >= 1 ? completions : 1);
    }
  }
  return undefined;
}

function addContent(contents: Contents, content: unknown): void {
  if (typeof content === "string") contents.texts.push(content);
  else if (Array.isArray(content)) for (const block of content as unknown[]) addBlock(contents, block);
}

function addBlock(contents: Contents, block: unknown): void {
  const { type, text } = (block ?? {}) as { type?: unknown; text?: unknown };
  if (typeof block === "string") contents.texts.push(block);
  else if (typeof text === "string") contents.texts.push(text);
  else if (typeof type === "string" && /image|audio|video|file|document/.test(type)) contents.media += 1;
  else contents.texts.push(textOf(block));
}

/** As it is sent; a schema that only its owner can write down counts by what JSON shows of it. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return "";
  }
}
