import type { JsonSchema } from "./json-schema.ts";

/** A call of a tool, in a question's history or in an answer. */
export interface ToolCall {
  id?: string;
  name: string;
  /** JSON text. */
  arguments: string;
}

/** One message, whatever the API called it. */
export interface Turn {
  role: "system" | "user" | "assistant" | "tool";
  text: string;
  toolCalls?: ToolCall[];
}

export interface ToolSpec {
  name: string;
  description: string;
  parameters: JsonSchema;
}

/** `auto` and friends, or the name of the one tool to call. */
export type ToolChoice = "auto" | "none" | "required" | { name: string };

/** A question to a chat model, the same for every API. */
export interface Conversation {
  turns: Turn[];
  tools: ToolSpec[];
  toolChoice: ToolChoice;
  parallelToolCalls: boolean;
  /** The schema that the answer must follow; `true` for any JSON object. */
  schema?: JsonSchema | true;
  maxTokens?: number;
  stop: string[];
}

/** What the simulated model says. */
export interface Answer {
  text: string;
  /** The text in the pieces that a stream sends. */
  pieces: string[];
  toolCalls: ToolCall[];
  finish: "stop" | "length" | "tool_calls";
  /** The stop sequence that ended the text. */
  stoppedBy?: string;
  completionTokens: number;
}

/** Turns since the last thing the user said, that turn included. */
export function currentExchange(turns: Turn[]): Turn[] {
  const start = turns.findLastIndex((turn) => turn.role === "user");
  return turns.slice(Math.max(start, 0));
}

export function lastUserText(turns: Turn[]): string {
  return turns.findLast((turn) => turn.role === "user")?.text ?? turns.at(-1)?.text ?? "";
}
