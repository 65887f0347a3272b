import { answerConversation } from "../answering/answer.ts";
import type { Answer, Conversation, ToolCall, ToolChoice, ToolSpec, Turn } from "../answering/conversation.ts";
import type { JsonSchema } from "../answering/json-schema.ts";
import { estimateTokens } from "../answering/words.ts";
import { BadRequest, sse, type ApiError, type ApiFormat, type Frame, type Job, type Reply, type ReplyContext } from "../reply.ts";
import { contentText, describe, isObject, optionalCount, requireArray, requireString, stopSequences, type Body } from "./fields.ts";
import { argumentPieces } from "./openai.ts";

const ERROR_TYPES: Record<number, string> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  529: "overloaded_error",
};
const STOP_REASONS = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" } as const;

/** A subset of Anthropic's `POST /v1/messages`: texts, tools, JSON output, streams. */
export const anthropicMessages: ApiFormat = {
  read: readMessages,
  errorBody,
  errorFrame: (error) => sse(JSON.stringify(errorBody(error)), "error"),
  closingFrames: 1,
  rateLimitStyle: "anthropic",
};

function errorBody({ status, message }: ApiError): unknown {
  return { type: "error", error: { type: ERROR_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error"), message } };
}

function readMessages(body: Body): Job {
  const model = requireString(body.model, "model");
  const maxTokens = optionalCount(body.max_tokens, "max_tokens");
  if (maxTokens === undefined) throw new BadRequest("max_tokens: Field required", "max_tokens");
  const choice = isObject(body.tool_choice) ? body.tool_choice : {};
  const system: Turn[] = body.system === undefined ? [] : [{ role: "system", text: contentText(body.system) }];
  const conversation: Conversation = {
    turns: [...system, ...requireArray(body.messages, "messages").flatMap(readMessage)],
    tools: readTools(body.tools),
    toolChoice: readChoice(choice),
    parallelToolCalls: choice.disable_parallel_tool_use !== true,
    schema: readOutputFormat(body),
    maxTokens,
    stop: stopSequences(body.stop_sequences),
  };
  const prefix = JSON.stringify([body.tools ?? [], body.system ?? "", body.messages]);
  const promptTokens = estimateTokens(prefix);
  return {
    model,
    stream: body.stream === true,
    promptTokens,
    prefix,
    answer(context) {
      const answer = answerConversation(model, conversation, context.digestInText ? ` [#${context.digest}]` : "");
      return messageReply(model, answer, promptTokens, context);
    },
  };
}

/** A user's message may hold results of tools, which come before what the user says. */
function readMessage(message: unknown, at: number): Turn[] {
  if (!isObject(message) || (message.role !== "user" && message.role !== "assistant")) {
    throw new BadRequest(`messages.${at}.role: must be user or assistant, got ${describe(isObject(message) ? message.role : message)}`, `messages.${at}`);
  }
  const parts = (Array.isArray(message.content) ? message.content : []).filter(isObject);
  const results = parts.filter((part) => part.type === "tool_result").map((part): Turn => ({ role: "tool", text: contentText(part.content) }));
  const calls = parts
    .filter((part) => part.type === "tool_use")
    .map((part): ToolCall => ({ id: String(part.id), name: String(part.name), arguments: JSON.stringify(part.input) }));
  const text = contentText(parts.length > 0 ? parts.filter((part) => part.type !== "tool_result") : message.content);
  if (text === "" && results.length > 0) return results;
  return [...results, { role: message.role, text, ...(calls.length > 0 && { toolCalls: calls }) }];
}

function readTools(tools: unknown): ToolSpec[] {
  if (!Array.isArray(tools)) return [];
  return tools.filter(isObject).flatMap((tool) => {
    if (typeof tool.name !== "string" || !isObject(tool.input_schema)) return [];
    return [{ name: tool.name, description: typeof tool.description === "string" ? tool.description : "", parameters: tool.input_schema as JsonSchema }];
  });
}

function readChoice(choice: Body): ToolChoice {
  if (choice.type === "tool" && typeof choice.name === "string") return { name: choice.name };
  if (choice.type === "any") return "required";
  return choice.type === "none" ? "none" : "auto";
}

function readOutputFormat(body: Body): JsonSchema | undefined {
  const config = isObject(body.output_config) ? body.output_config.format : body.output_format;
  return isObject(config) && isObject(config.schema) ? (config.schema as JsonSchema) : undefined;
}

function messageReply(model: string, answer: Answer, promptTokens: number, context: ReplyContext): Reply {
  const usage = {
    input_tokens: promptTokens - context.cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: context.cachedTokens,
    output_tokens: answer.completionTokens,
  };
  const stopSequence = answer.stoppedBy ?? null;
  const ending = { stop_reason: stopSequence === null ? STOP_REASONS[answer.finish] : "stop_sequence", stop_sequence: stopSequence };
  const content = contentBlocks(answer, context.id);
  const head = { id: `msg_${context.id}`, type: "message", role: "assistant", model };
  return {
    completionTokens: answer.completionTokens,
    whole: () => ({ ...head, content, ...ending, usage }),
    frames: () => [
      event("message_start", { message: { ...head, content: [], stop_reason: null, stop_sequence: null, usage: { ...usage, output_tokens: 1 } } }),
      ...content.flatMap((block, index) => blockFrames(block, index, answer)),
      event("message_delta", { delta: ending, usage }),
      event("message_stop", {}),
    ],
  };
}

function contentBlocks(answer: Answer, id: string): Body[] {
  if (answer.toolCalls.length === 0) return [{ type: "text", text: answer.text }];
  return answer.toolCalls.map((call, at) => ({ type: "tool_use", id: `toolu_${id}${at}`, name: call.name, input: JSON.parse(call.arguments) as unknown }));
}

function blockFrames(block: Body, index: number, answer: Answer): Frame[] {
  const tool = block.type === "tool_use";
  const deltas = tool
    ? argumentPieces(JSON.stringify(block.input)).map((piece) => ({ type: "input_json_delta", partial_json: piece }))
    : answer.pieces.map((piece) => ({ type: "text_delta", text: piece }));
  return [
    event("content_block_start", { index, content_block: tool ? { ...block, input: {} } : { type: "text", text: "" } }, tool),
    ...deltas.map((delta) => event("content_block_delta", { index, delta }, true)),
    event("content_block_stop", { index }),
  ];
}

function event(type: string, fields: Body, timed = false): Frame {
  return { data: sse(JSON.stringify({ type, ...fields }), type), timed };
}
