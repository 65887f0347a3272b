import { Unfit } from "../../core/layer.ts";
import type { ModelOptions } from "../models.ts";
import type { FormatName } from "./formats.ts";

/** Whether tools must be called, in nobody's format. */
export type ToolChoice = "auto" | "none" | "any" | { readonly name: string };

/** Names under which Google's classes take the functions that may be called. */
const ALLOWED_BY_GOOGLE = ["allowedFunctionNames", "allowed_function_names"] as const;
/** Every option that says which tools are called, and how. */
export const CHOICE_OPTIONS: readonly string[] = ["tool_choice", "parallel_tool_calls", ...ALLOWED_BY_GOOGLE];

/** Which tools a call wants called, in whatever format it says so; `undefined` = it does not. */
export function toolChoiceOf(options: ModelOptions): ToolChoice | Unfit | undefined {
  const allowed = ALLOWED_BY_GOOGLE.map((name) => options[name]).find(Array.isArray) as string[] | undefined;
  const choice = readChoice(options.tool_choice);
  if (choice instanceof Unfit || !allowed || (choice !== undefined && choice !== "any")) return choice;
  return allowed.length === 1 ? { name: allowed[0] as string } : new Unfit("cannot be kept to some of the tools");
}

function readChoice(choice: unknown): ToolChoice | Unfit | undefined {
  if (choice === undefined || choice === null || choice === "") return undefined;
  if (typeof choice === "string") return WORDS[choice] ?? { name: choice };
  const { type, name, function: declared } = choice as { type?: unknown; name?: unknown; function?: { name?: unknown } };
  if (type === "function" && typeof declared?.name === "string") return { name: declared.name };
  if (type === "tool" && typeof name === "string") return { name };
  return (typeof type === "string" ? WORDS[type] : undefined) ?? new Unfit(`cannot choose its tools by "${String(type)}"`);
}

const WORDS: Readonly<Partial<Record<string, ToolChoice>>> = { auto: "auto", none: "none", required: "any", any: "any" };

/** Whether a call wants no more than one tool called at a time. */
export function wantsOneCall(options: ModelOptions): boolean {
  const { tool_choice: choice, parallel_tool_calls: parallel } = options;
  return parallel === false || (choice as { disable_parallel_tool_use?: unknown } | undefined)?.disable_parallel_tool_use === true;
}

/** Options that say which tools are called, as a format has it. */
export function choiceOptions(choice: ToolChoice | undefined, one: boolean, format: FormatName): Record<string, unknown> | Unfit {
  if (format === "OpenAI") return { ...(choice === undefined ? {} : { tool_choice: forOpenAI(choice) }), ...(one ? { parallel_tool_calls: false } : {}) };
  if (format === "Anthropic") return forAnthropic(choice, one);
  if (one) return new Unfit("cannot be kept from calling several tools at once");
  return choice === undefined ? {} : { tool_choice: typeof choice === "string" ? choice : choice.name };
}

function forOpenAI(choice: ToolChoice): unknown {
  if (typeof choice === "string") return choice === "any" ? "required" : choice;
  return { type: "function", function: { name: choice.name } };
}

function forAnthropic(choice: ToolChoice | undefined, one: boolean): Record<string, unknown> {
  if (choice === undefined && !one) return {};
  if (choice === "none") return { tool_choice: { type: "none" } };
  const single = one ? { disable_parallel_tool_use: true } : {};
  return { tool_choice: typeof choice === "object" ? { type: "tool", name: choice.name, ...single } : { type: choice ?? "auto", ...single } };
}
