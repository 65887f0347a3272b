import type { Attributes } from "@opentelemetry/api";
import type { KindName } from "../../core/facts.ts";
import type { TraceOptions } from "./options.ts";

interface SeenMessage {
  type?: string;
  content?: unknown;
  tool_calls?: { id?: string; name?: string; args?: unknown }[];
  tool_call_id?: string;
}

const ROLES: Readonly<Record<string, string>> = { human: "user", ai: "assistant", system: "system", tool: "tool", developer: "developer" };

/** Prompts, answers, arguments and results as span attributes; nothing unless the user opted in. */
export class ContentCapture {
  readonly #on: boolean;
  readonly #redact: (text: string) => string;

  constructor({ captureContent = false, redact }: TraceOptions) {
    this.#on = captureContent;
    this.#redact = redact ?? ((text) => text);
  }

  input(kind: KindName, input: unknown): Attributes {
    if (!this.#on) return {};
    switch (kind) {
      case "chat":
        return { "gen_ai.input.messages": this.#json(((input as SeenMessage[][])[0] ?? []).map(messageOf)) };
      case "llm":
        return { "gen_ai.input.messages": this.#json((input as string[]).map((content) => ({ role: "user", parts: [textPart(content)] }))) };
      case "tool":
        return { "gen_ai.tool.call.arguments": this.#json(input) };
      case "retriever":
        return { "gen_ai.retrieval.query.text": this.#json(input) };
      default:
        return { "perf.input": this.#json(input) };
    }
  }

  output(kind: KindName, output: unknown): Attributes {
    if (!this.#on || output === undefined) return {};
    if (kind === "chat" || kind === "llm") {
      const generations = ((output as { generations?: { text: string; message?: SeenMessage }[][] }).generations ?? []).flat();
      return { "gen_ai.output.messages": this.#json(generations.map(({ text, message }) => (message ? messageOf(message) : { role: "assistant", parts: [textPart(text)] }))) };
    }
    if (kind === "tool") return { "gen_ai.tool.call.result": this.#json((output as SeenMessage | undefined)?.content ?? output) };
    return { [kind === "retriever" ? "gen_ai.retrieval.documents" : "perf.output"]: this.#json(output) };
  }

  /** Redacted before it is cut to pieces or escaped, so that a pattern sees what a person would. */
  #json(value: unknown): string {
    const redacted = (_key: string, field: unknown): unknown => (typeof field === "string" ? this.#redact(field) : field);
    try {
      return typeof value === "string" ? this.#redact(value) : (JSON.stringify(value, redacted) ?? "");
    } catch {
      return "[not serialisable]";
    }
  }
}

function textPart(content: unknown): object {
  return { type: "text", content };
}

function messageOf({ type = "user", content, tool_calls: calls = [], tool_call_id: answers }: SeenMessage): object {
  const role = ROLES[type] ?? type;
  if (answers !== undefined) return { role, parts: [{ type: "tool_call_response", id: answers, response: content }] };
  const said = content === "" ? [] : [textPart(content)];
  return { role, parts: [...said, ...calls.map(({ id, name, args }) => ({ type: "tool_call", id, name, arguments: args }))] };
}
