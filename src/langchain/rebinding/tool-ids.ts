import type { BaseMessage } from "@langchain/core/messages";
import type { ToolCallLike } from "../messages.ts";
import { changedMessage } from "./changed-message.ts";

interface WithIds {
  readonly tool_calls?: readonly ToolCallLike[];
  readonly tool_call_id?: string;
}

/** What Anthropic takes as the id of a tool call. */
const VALID = /^[a-zA-Z0-9_-]+$/;

/** New ids for the tool calls of a conversation whose ids Anthropic refuses, the same for a call and its result. */
export class ValidIds {
  readonly #ids = new Map<string, string>();

  constructor(messages: readonly BaseMessage[]) {
    const all = messages.flatMap((message) => [...((message as WithIds).tool_calls ?? []).map(({ id }) => id), (message as WithIds).tool_call_id]);
    const taken = new Set(all);
    for (const id of taken) {
      if (typeof id !== "string" || VALID.test(id)) continue;
      let valid = id.replace(/[^a-zA-Z0-9_-]/g, "_") || "_";
      while (taken.has(valid)) valid += "_";
      taken.add(valid);
      this.#ids.set(id, valid);
    }
  }

  /** The message itself, or a copy with other ids. */
  fit(message: BaseMessage): BaseMessage {
    if (this.#ids.size === 0) return message;
    const { tool_calls: calls, tool_call_id: answered = "" } = message as WithIds;
    const isAsked = calls?.some(({ id = "" }) => this.#ids.has(id));
    if (!isAsked && !this.#ids.has(answered)) return message;
    const renamed = isAsked ? { tool_calls: calls?.map((call) => ({ ...call, id: this.#ids.get(call.id ?? "") ?? call.id })) } : { tool_call_id: this.#ids.get(answered) };
    return changedMessage(message, renamed);
  }
}
