import { answerConversation } from "../answering/answer.ts";
import type { Answer, Conversation, ToolCall, Turn } from "../answering/conversation.ts";
import type { JsonSchema } from "../answering/json-schema.ts";
import { estimateTokens } from "../answering/words.ts";
import { BadRequest, type ApiFormat, type Frame, type Job, type Reply, type ReplyContext } from "../reply.ts";
import { contentText, describe, isObject, optionalCount, requireArray, requireString, stopSequences, type Body } from "./fields.ts";
import { argumentPieces, completionsUsage, DONE, openAIErrorBody, openAIErrorFrame, readToolChoice, readTools } from "./openai.ts";

const ROLES: Record<string, Turn["role"]> = { system: "system", developer: "system", user: "user", assistant: "assistant", tool: "tool", function: "tool" };

/** OpenAI's `POST /v1/chat/completions`. */
export const chatCompletions: ApiFormat = {
  read: readChat,
  errorBody: openAIErrorBody,
  errorFrame: openAIErrorFrame,
  closingFrames: 1,
  rateLimitStyle: "openai",
};

function readChat(body: Body): Job {
  const model = requireString(body.model, "model");
  const count = optionalCount(body.n, "n") ?? 1;
  const conversation: Conversation = {
    turns: requireArray(body.messages, "messages").map(readMessage),
    tools: readTools(body.tools, (tool) => tool.function),
    toolChoice: readToolChoice(body.tool_choice),
    parallelToolCalls: body.parallel_tool_calls !== false,
    schema: readResponseFormat(body.response_format),
    maxTokens: optionalCount(body.max_completion_tokens ?? body.max_tokens, "max_tokens"),
    stop: stopSequences(body.stop),
  };
  const prefix = JSON.stringify([body.tools ?? [], body.messages]);
  const promptTokens = estimateTokens(prefix);
  const usage = !isObject(body.stream_options) || body.stream_options.include_usage !== true ? "none" : "last";
  return {
    model,
    stream: body.stream === true,
    promptTokens,
    prefix,
    answer(context) {
      const suffix = context.digestInText ? ` [#${context.digest}]` : "";
      const answers = Array.from({ length: count }, (_, variant) => answerConversation(model, conversation, suffix, variant));
      return chatReply(model, answers, promptTokens, usage === "last", context);
    },
  };
}

function readMessage(message: unknown, at: number): Turn {
  const role = isObject(message) ? ROLES[String(message.role)] : undefined;
  if (!isObject(message) || role === undefined) {
    const got = describe(isObject(message) ? message.role : message);
    throw new BadRequest(`messages[${at}].role must be one of ${Object.keys(ROLES).join(", ")}, got ${got}`, `messages[${at}]`);
  }
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls.flatMap(readCall) : [];
  return { role, text: contentText(message.content), ...(calls.length > 0 && { toolCalls: calls }) };
}

function readCall(call: unknown): ToolCall[] {
  if (!isObject(call) || !isObject(call.function)) return [];
  return [{ id: String(call.id), name: String(call.function.name), arguments: String(call.function.arguments) }];
}

function readResponseFormat(format: unknown): JsonSchema | true | undefined {
  if (!isObject(format) || format.type === "text") return undefined;
  if (format.type === "json_object") return true;
  if (format.type === "json_schema" && isObject(format.json_schema)) {
    return isObject(format.json_schema.schema) ? (format.json_schema.schema as JsonSchema) : true;
  }
  throw new BadRequest(`response_format.type must be text, json_object or json_schema, got ${describe(format.type)}`, "response_format");
}

function chatReply(model: string, answers: Answer[], promptTokens: number, includeUsage: boolean, context: ReplyContext): Reply {
  const completionTokens = answers.reduce((sum, answer) => sum + answer.completionTokens, 0);
  const usage = completionsUsage({ promptTokens, cachedTokens: context.cachedTokens, completionTokens });
  const head = { id: `chatcmpl-${context.id}`, object: "chat.completion", created: context.createdAt, model };
  const tail = { service_tier: "default", system_fingerprint: `fp_${context.digest}` };
  return {
    completionTokens,
    whole: () => ({ ...head, choices: answers.map((answer, index) => wholeChoice(answer, index, context.id)), usage, ...tail }),
    frames() {
      const shared = JSON.stringify({ ...head, object: "chat.completion.chunk", ...tail }).slice(0, -1);
      const frames = answers.flatMap((answer, index) => choiceFrames(answer, index, `data: ${shared},"choices":`, context.id));
      if (includeUsage) frames.push({ data: `data: ${shared},"choices":[],"usage":${JSON.stringify(usage)}}\n\n`, timed: false });
      frames.push({ data: DONE, timed: false });
      return frames;
    },
  };
}

function wholeChoice(answer: Answer, index: number, id: string): unknown {
  const calls = answer.toolCalls.map((call, at) => ({ id: callId(id, index, at), type: "function", function: { name: call.name, arguments: call.arguments } }));
  const message = { role: "assistant", content: calls.length > 0 ? null : answer.text, refusal: null, ...(calls.length > 0 && { tool_calls: calls }) };
  return { index, message, logprobs: null, finish_reason: answer.finish };
}

/** `opening` is an event's text up to the choices: only what differs is written anew for each piece. */
function choiceFrames(answer: Answer, index: number, opening: string, id: string): Frame[] {
  const start = `${opening}[{"index":${index},"delta":`;
  const frame = (delta: string, timed: boolean): Frame => ({ data: `${start}${delta},"logprobs":null,"finish_reason":null}]}\n\n`, timed });
  const frames = [frame(`{"role":"assistant","content":${answer.toolCalls.length > 0 ? "null" : '""'},"refusal":null}`, false)];
  for (const piece of answer.pieces) frames.push(frame(`{"content":${JSON.stringify(piece)}}`, true));
  answer.toolCalls.forEach((call, at) => {
    const first = { index: at, id: callId(id, index, at), type: "function", function: { name: call.name, arguments: "" } };
    frames.push(frame(JSON.stringify({ tool_calls: [first] }), true));
    for (const piece of argumentPieces(call.arguments)) {
      frames.push(frame(JSON.stringify({ tool_calls: [{ index: at, function: { arguments: piece } }] }), true));
    }
  });
  frames.push({ data: `${start}{},"logprobs":null,"finish_reason":"${answer.finish}"}]}\n\n`, timed: false });
  return frames;
}

function callId(id: string, choice: number, at: number): string {
  return `call_${id}${choice}${at}`;
}
