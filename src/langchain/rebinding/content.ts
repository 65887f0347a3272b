import type { BaseMessage } from "@langchain/core/messages";
import { Unfit } from "../../core/layer.ts";
import type { FormatName } from "./formats.ts";

type Content = BaseMessage["content"];

interface Block {
  readonly type?: string;
  readonly text?: unknown;
  readonly image_url?: unknown;
  readonly source?: unknown;
  readonly source_type?: unknown;
  readonly cache_control?: unknown;
}

/** Blocks that say what the message's tool calls, or nothing that matters to others, say as well. */
const THOUGHTS_AND_CALLS: ReadonlySet<string> = new Set([
  "tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "input_json_delta", "functionCall", "function_call",
  "thinking", "redacted_thinking", "reasoning", "reasoning_content",
]);

/** What a model of one format said, as one of another can read it: its text. */
export function saidContent(content: Content, written: FormatName | undefined): Content | Unfit {
  if (!Array.isArray(content)) return content;
  const texts: { type: "text"; text: string }[] = [];
  for (const { type = "", text } of content as Block[]) {
    if (THOUGHTS_AND_CALLS.has(type)) continue;
    if (typeof text !== "string") return new Unfit(unread(type, written));
    // Anthropic refuses empty texts, which streams of others begin with.
    if (text !== "") texts.push({ type: "text", text });
  }
  return texts.length > 0 ? texts : "";
}

/** What was said to a model of one format, as LangChain's class for another hands it on; some drop what they do not know without a word. */
export function askedContent(content: Content, from: FormatName, to: FormatName | undefined): Content | Unfit {
  if (!Array.isArray(content)) return content;
  const blocks = content as Block[];
  const strange = blocks.find((block) => !isUnderstood(block, to));
  if (strange) return new Unfit(unread(strange.type ?? "", from));
  // A mark of Anthropic's prompt cache, which OpenAI refuses.
  if (to === "Anthropic" || !blocks.some((block) => block.cache_control)) return content;
  return blocks.map((block) => Object.fromEntries(Object.entries(block).filter(([key]) => key !== "cache_control"))) as Content;
}

function isUnderstood(block: Block, to: FormatName | undefined): boolean {
  const { type, text, image_url: image, source_type: sourceType, source } = block;
  if (type === "text") return typeof text === "string";
  if (type === "image_url") return to !== "Google" || urlOf(image).startsWith("data:");
  if (sourceType !== undefined) return type === "image" || type === "file" || (type === "audio" && to !== "Anthropic");
  return type === "image" && source === undefined && (to === "Anthropic" || to === "Google");
}

function urlOf(image: unknown): string {
  return String(typeof image === "string" ? image : (image as { url?: unknown } | undefined)?.url);
}

function unread(type: string, format: FormatName | undefined): string {
  return `cannot read what is in the conversation as "${type}" of ${format ?? "another provider"}`;
}
