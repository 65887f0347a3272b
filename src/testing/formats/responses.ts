import { answerConversation } from "../answering/answer.ts";
import type { Answer, Conversation, Turn } from "../answering/conversation.ts";
import type { JsonSchema } from "../answering/json-schema.ts";
import { estimateTokens } from "../answering/words.ts";
import { BadRequest, sse, type ApiError, type ApiFormat, type Frame, type Job, type Reply, type ReplyContext } from "../reply.ts";
import { contentText, describe, isObject, optionalCount, requireString, type Body } from "./fields.ts";
import { argumentPieces, openAIErrorBody, readToolChoice, readTools } from "./openai.ts";

const STORED_RESPONSES = 1_000;

/** OpenAI's `POST /v1/responses`, as far as `ChatOpenAI({ useResponsesApi: true })` uses it; keeps conversations. */
export function createResponsesFormat(): ApiFormat {
  const stored = new Map<string, Turn[]>();
  return {
    read: (body) => readResponses(body, stored),
    errorBody: openAIErrorBody,
    errorFrame: ({ message, code }: ApiError) => sse(JSON.stringify({ type: "error", code: code ?? null, message, param: null }), "error"),
    closingFrames: 1,
    rateLimitStyle: "openai",
  };
}

function readResponses(body: Body, stored: Map<string, Turn[]>): Job {
  const model = requireString(body.model, "model");
  const text = isObject(body.text) && isObject(body.text.format) ? body.text.format : { type: "text" };
  const turns = [...earlierTurns(body.previous_response_id, stored), ...readInstructions(body.instructions), ...readInput(body.input)];
  const conversation: Conversation = {
    turns,
    tools: readTools(body.tools, (tool) => (tool.type === "function" ? tool : undefined)),
    toolChoice: readToolChoice(body.tool_choice),
    parallelToolCalls: body.parallel_tool_calls !== false,
    schema: text.type === "json_schema" && isObject(text.schema) ? (text.schema as JsonSchema) : text.type === "json_object" ? true : undefined,
    maxTokens: optionalCount(body.max_output_tokens, "max_output_tokens"),
    stop: [],
  };
  const prefix = JSON.stringify([body.tools ?? [], turns]);
  const promptTokens = estimateTokens(prefix);
  return {
    model,
    stream: body.stream === true,
    promptTokens,
    prefix,
    answer(context) {
      const answer = answerConversation(model, conversation, context.digestInText ? ` [#${context.digest}]` : "");
      if (body.store !== false) remember(stored, `resp_${context.id}`, [...turns, { role: "assistant", text: answer.text, toolCalls: answer.toolCalls }]);
      return responsesReply(body, answer, promptTokens, text, context);
    },
  };
}

function remember(stored: Map<string, Turn[]>, id: string, turns: Turn[]): void {
  stored.set(id, turns);
  if (stored.size > STORED_RESPONSES) stored.delete(stored.keys().next().value!);
}

function earlierTurns(id: unknown, stored: Map<string, Turn[]>): Turn[] {
  if (id === undefined || id === null) return [];
  const turns = stored.get(String(id));
  if (turns === undefined) throw new BadRequest(`Previous response with id '${String(id)}' not found.`, "previous_response_id");
  return turns;
}

function readInstructions(instructions: unknown): Turn[] {
  return typeof instructions === "string" ? [{ role: "system", text: instructions }] : [];
}

function readInput(input: unknown): Turn[] {
  if (typeof input === "string") return [{ role: "user", text: input }];
  if (!Array.isArray(input) || input.length === 0) throw new BadRequest(`input must be a string or a non-empty array, got ${describe(input)}`, "input");
  return input.flatMap(readItem);
}

function readItem(item: unknown): Turn[] {
  if (!isObject(item)) return [];
  if (item.type === "function_call") {
    return [{ role: "assistant", text: "", toolCalls: [{ id: String(item.call_id), name: String(item.name), arguments: String(item.arguments) }] }];
  }
  if (item.type === "function_call_output") return [{ role: "tool", text: contentText(item.output) }];
  if (item.role === "user" || item.role === "assistant") return [{ role: item.role, text: contentText(item.content) }];
  return item.role === "system" || item.role === "developer" ? [{ role: "system", text: contentText(item.content) }] : [];
}

function responsesReply(body: Body, answer: Answer, promptTokens: number, format: Body, context: ReplyContext): Reply {
  const { id, digest, cachedTokens } = context;
  const usage = {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: answer.completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: promptTokens + answer.completionTokens,
  };
  const limited = answer.finish === "length";
  const items = outputItems(answer, id, limited ? "incomplete" : "completed");
  const response = (status: string, output: unknown[], withUsage: boolean): Body => ({
    id: `resp_${id}`, object: "response", created_at: context.createdAt, status, background: false, error: null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: body.instructions ?? null, max_output_tokens: body.max_output_tokens ?? null, model: body.model, output,
    parallel_tool_calls: body.parallel_tool_calls ?? true, previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: null, summary: null }, service_tier: "default", store: body.store ?? true, temperature: body.temperature ?? 1,
    text: { format }, tool_choice: body.tool_choice ?? "auto", tools: body.tools ?? [], top_p: body.top_p ?? 1, truncation: "disabled",
    usage: withUsage ? usage : null, user: null, metadata: { ...(isObject(body.metadata) && body.metadata), digest }, system_fingerprint: `fp_${digest}`,
  });
  const final = limited ? "incomplete" : "completed";
  return {
    completionTokens: answer.completionTokens,
    whole: () => response(final, items, true),
    frames: () => {
      const event = eventWriter();
      const start = response("in_progress", [], false);
      return [
        event("response.created", { response: start }),
        event("response.in_progress", { response: start }),
        ...items.flatMap((item, index) => itemFrames(item, index, answer, event)),
        event(`response.${final}`, { response: response(final, items, true) }),
      ];
    },
  };
}

type EventWriter = (type: string, fields: Body, timed?: boolean) => Frame;

function eventWriter(): EventWriter {
  let sequence = 0;
  return (type, fields, timed = false) => ({ data: sse(JSON.stringify({ type, sequence_number: sequence++, ...fields }), type), timed });
}

/** A message or the calls of functions. */
function outputItems(answer: Answer, id: string, status: string): Body[] {
  if (answer.toolCalls.length === 0) {
    return [{ id: `msg_${id}`, type: "message", status, role: "assistant", content: [{ type: "output_text", text: answer.text, annotations: [], logprobs: [] }] }];
  }
  return answer.toolCalls.map((call, at) => ({
    id: `fc_${id}${at}`, type: "function_call", status, call_id: `call_${id}${at}`, name: call.name, arguments: call.arguments,
  }));
}

function itemFrames(item: Body, index: number, answer: Answer, event: EventWriter): Frame[] {
  const place = { item_id: item.id, output_index: index };
  const call = item.type === "function_call";
  const open = { ...item, status: "in_progress", ...(call ? { arguments: "" } : { content: [] }) };
  // The name of a function is the first that is known of its call: it waits as a token does.
  const added = event("response.output_item.added", { output_index: index, item: open }, call);
  const inner = call ? argumentFrames(item, place, event) : textFrames(answer, place, event);
  return [added, ...inner, event("response.output_item.done", { output_index: index, item })];
}

function argumentFrames(item: Body, place: Body, event: EventWriter): Frame[] {
  const pieces = argumentPieces(String(item.arguments));
  return [
    ...pieces.map((delta) => event("response.function_call_arguments.delta", { ...place, delta }, true)),
    event("response.function_call_arguments.done", { ...place, name: item.name, arguments: item.arguments }),
  ];
}

function textFrames(answer: Answer, place: Body, event: EventWriter): Frame[] {
  const at = { ...place, content_index: 0 };
  const part = (text: string): Body => ({ type: "output_text", text, annotations: [], logprobs: [] });
  return [
    event("response.content_part.added", { ...at, part: part("") }),
    ...answer.pieces.map((delta) => event("response.output_text.delta", { ...at, delta, logprobs: [] }, true)),
    event("response.output_text.done", { ...at, text: answer.text, logprobs: [] }),
    event("response.content_part.done", { ...at, part: part(answer.text) }),
  ];
}
