import { readFileSync } from "node:fs";
import { AIMessage } from "@langchain/core/messages";
import type { CacheEntry } from "../../src/core/entry.ts";
import { chatKind } from "../../src/langchain/kinds/chat.ts";
import { entryOf } from "./replay.ts";

const MARKDOWN = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** So many characters of Markdown, from the `at`-th such piece on; it begins again where it ends. */
export function markdown(length: number, at = 0): string {
  const from = (at * length) % MARKDOWN.length;
  return MARKDOWN.slice(from).concat(MARKDOWN.repeat(Math.ceil(length / MARKDOWN.length))).slice(0, length);
}

/** A chat model's answer as an entry of the cache. */
export function generationOf(text: string): CacheEntry {
  const message = new AIMessage({
    content: text,
    usage_metadata: { input_tokens: 12, output_tokens: 512, total_tokens: 524 },
    response_metadata: { model_name: "fake", finish_reason: "stop" },
  });
  const result = { generations: [{ text, message }], llmOutput: { tokenUsage: { promptTokens: 12, completionTokens: 512, totalTokens: 524 } } };
  return { ...entryOf(2 * text.length), answer: { mode: "invoke", parts: [chatKind.packer("invoke")(result)] } };
}
