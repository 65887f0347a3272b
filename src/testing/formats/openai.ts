import type { ToolChoice, ToolSpec } from "../answering/conversation.ts";
import type { JsonSchema } from "../answering/json-schema.ts";
import { BadRequest, sse, type ApiError } from "../reply.ts";
import { isObject, type Body } from "./fields.ts";

/** The last event of a stream. */
export const DONE = sse("[DONE]");

/** Bodies of errors as OpenAI writes them. */
export function openAIErrorBody({ message, type, param, code }: ApiError): unknown {
  return { error: { message, type, param: param ?? null, code: code ?? null } };
}

export function openAIErrorFrame(error: ApiError): string {
  return sse(JSON.stringify(openAIErrorBody(error)));
}

/** Function tools; `read` finds name, description and parameters in one entry. */
export function readTools(tools: unknown, read: (tool: Body) => unknown): ToolSpec[] {
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) throw new BadRequest("tools must be an array", "tools");
  return tools.flatMap((tool) => {
    const described = isObject(tool) ? read(tool) : undefined;
    if (!isObject(described) || typeof described.name !== "string") return [];
    const parameters = (isObject(described.parameters) ? described.parameters : { type: "object" }) as JsonSchema;
    return [{ name: described.name, description: typeof described.description === "string" ? described.description : "", parameters }];
  });
}

/** `"auto"`, `"required"`, `{ type: "function", function: { name } }` and the flat form of the responses API. */
export function readToolChoice(choice: unknown): ToolChoice {
  if (choice === "none" || choice === "required" || choice === "auto") return choice;
  if (!isObject(choice)) return "auto";
  if (isObject(choice.function) && typeof choice.function.name === "string") return { name: choice.function.name };
  if (choice.type === "function" && typeof choice.name === "string") return { name: choice.name };
  return "auto";
}

export interface OpenAIUsage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

export function completionsUsage({ promptTokens, cachedTokens, completionTokens }: OpenAIUsage): unknown {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
  };
}

/** Pieces of a call's arguments, as a stream sends them. */
export function argumentPieces(text: string): string[] {
  return text.match(/[\s\S]{1,9}/g) ?? [];
}
