import type { Answer, Conversation, ToolCall } from "./conversation.ts";
import type { Evidence, JsonSchema } from "./json-schema.ts";
import { fillSchema } from "./schema.ts";
import { readQuestion, speak, type Reading } from "./speak.ts";
import { chooseToolCalls } from "./tools.ts";
import { estimateTokens, keywords, sentences, tokenize } from "./words.ts";

const CHUNKS_MODEL = /^chunks-(\d{1,6})(?=$|\+)/;

/** What the simulated model answers; the same question always gets the same answer. */
export function answerConversation(model: string, conversation: Conversation, suffix = "", variant = 0): Answer {
  const chunks = CHUNKS_MODEL.exec(model)?.[1];
  if (chunks !== undefined) return spoken(countedPieces(Number(chunks)), conversation);
  const reading = readQuestion(conversation.turns);
  const { text: plain, grounded } = speak(conversation, reading, variant);
  const evidence = evidenceOf(conversation, reading, grounded ? plain : firstSentence(reading.question));
  const toolCalls = chooseToolCalls(conversation, evidence);
  if (toolCalls.length > 0) return calling(toolCalls);
  const json = jsonAnswer(conversation, evidence);
  if (json !== undefined) return spoken(tokenize(json), conversation);
  const listed = /list of comma.separated values/i.test(allText(conversation)) ? keywords(reading.question, 5).join(", ") : undefined;
  return spoken(tokenize(`${listed ?? plain}${suffix}`), conversation);
}

/** Exactly `count` pieces, for measuring streams. */
function countedPieces(count: number): string[] {
  return Array.from({ length: count }, (_, at) => (at === 0 ? "word0" : ` word${at}`));
}

function evidenceOf(conversation: Conversation, reading: Reading, answer: string): Evidence {
  const context = conversation.turns.filter((turn) => turn.role !== "system").map((turn) => turn.text).join("\n");
  return { question: reading.question, context, answer };
}

/** What can be said about a text when nothing else is known. */
function firstSentence(text: string): string {
  return sentences(text)[0] ?? text;
}

function calling(toolCalls: ToolCall[]): Answer {
  const completionTokens = toolCalls.reduce((sum, call) => sum + estimateTokens(call.name + call.arguments) + 4, 0);
  return { text: "", pieces: [], toolCalls, finish: "tool_calls", completionTokens };
}

/** Applies `stop` and `max_tokens`. */
function spoken(pieces: string[], { stop, maxTokens }: Conversation): Answer {
  const stopped = firstStop(pieces, stop);
  const kept = stopped === undefined ? pieces : tokenize(stopped.before);
  const limited = maxTokens !== undefined && kept.length > maxTokens;
  const sent = limited ? kept.slice(0, maxTokens) : kept;
  return {
    text: sent.join(""),
    pieces: sent,
    toolCalls: [],
    finish: limited ? "length" : "stop",
    ...(stopped !== undefined && !limited && { stoppedBy: stopped.sequence }),
    completionTokens: sent.length,
  };
}

function firstStop(pieces: string[], stop: string[]): { before: string; sequence: string } | undefined {
  if (stop.length === 0) return undefined;
  const text = pieces.join("");
  const found = stop.map((sequence) => ({ sequence, at: sequence === "" ? -1 : text.indexOf(sequence) })).filter(({ at }) => at !== -1);
  const [first] = found.sort((left, right) => left.at - right.at);
  return first && { before: text.slice(0, first.at), sequence: first.sequence };
}

/** JSON by the schema asked for, by a schema written into the prompt, or any object. */
function jsonAnswer(conversation: Conversation, evidence: Evidence): string | undefined {
  const { schema } = conversation;
  if (typeof schema === "object") return JSON.stringify(fillSchema(schema, evidence));
  const prompted = promptedSchema(conversation);
  if (prompted !== undefined) {
    const json = JSON.stringify(fillSchema(prompted, evidence));
    return schema === true ? json : `\`\`\`json\n${json}\n\`\`\``;
  }
  return schema === true ? JSON.stringify({ answer: evidence.answer }) : undefined;
}

/** The schema that format instructions hold, as output parsers write them. */
function promptedSchema(conversation: Conversation): JsonSchema | undefined {
  const text = allText(conversation);
  if (!/json/i.test(text)) return undefined;
  for (const [, block] of [...text.matchAll(/```(?:json)?\s*(\{[\s\S]*?\})\s*```/g)].reverse()) {
    const schema = parseObject(block!);
    if (schema?.type === "object" && typeof schema.properties === "object") return schema as JsonSchema;
  }
  return undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function allText(conversation: Conversation): string {
  return conversation.turns.map((turn) => turn.text).join("\n");
}
