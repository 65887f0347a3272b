import { currentExchange, type Conversation, type ToolCall, type ToolSpec } from "./conversation.ts";
import type { Evidence } from "./json-schema.ts";
import { fillSchema } from "./schema.ts";
import { stem, stems } from "./words.ts";

/** Words that mean the same to whoever describes a tool and to whoever asks for it. */
const RELATED: Record<string, string[]> = {
  weather: ["temperature", "rain", "sunny", "forecast", "snow", "wind", "umbrella"],
  calculator: ["calculate", "compute", "sum", "plus", "times", "minus", "multiply", "divide", "arithmetic", "math"],
  price: ["cost", "expensive", "cheap", "pay"],
  order: ["delivery", "package", "parcel", "shipment", "shipping", "deliver"],
  email: ["mail", "send", "message"],
  time: ["clock", "hour", "timezone"],
  translate: ["translation", "french", "german", "spanish"],
  convert: ["currency", "exchange", "euro", "dollar"],
};
const RELATED_STEMS = new Map(Object.entries(RELATED).flatMap(([word, others]) => others.map((other) => [stem(other), stem(word)] as const)));
const ARITHMETIC = /\d\s*(?:[-+*/^×÷]|\*\*|x|plus|minus|times|multiplied by|divided by)\s*\(*\s*\d|square root of/i;
const SEARCH = /search|retriev|look.?up|find|knowledge|documentation|\bdocs?\b/i;
const FITS = 2;

/** The calls that the conversation asks for now; none when the model should speak. */
export function chooseToolCalls(conversation: Conversation, evidence: Evidence): ToolCall[] {
  const { tools, toolChoice } = conversation;
  if (tools.length === 0 || toolChoice === "none") return [];
  if (typeof toolChoice === "object") {
    const named = tools.find((tool) => tool.name === toolChoice.name);
    return named === undefined ? [] : [callOf(named, evidence)];
  }
  const called = new Set(currentExchange(conversation.turns).flatMap((turn) => turn.toolCalls?.map((call) => call.name) ?? []));
  const open = tools.filter((tool) => !called.has(tool.name));
  const fitting = fittingTools(open, evidence.question, called.size === 0);
  if (fitting.length === 0 && toolChoice === "required") fitting.push(...(open.length > 0 ? open : tools).slice(-1));
  return (conversation.parallelToolCalls ? fitting : fitting.slice(0, 1)).map((tool) => callOf(tool, evidence));
}

/** Tools whose name or description shares enough with the question; a search tool when no other fits. */
function fittingTools(tools: ToolSpec[], question: string, first: boolean): ToolSpec[] {
  const fitting = tools
    .map((tool) => ({ tool, score: fit(tool, question) }))
    .filter(({ score }) => score >= FITS)
    .sort((left, right) => right.score - left.score)
    .map(({ tool }) => tool);
  if (fitting.length > 0 || !first || !question.trimEnd().endsWith("?")) return fitting;
  return tools.filter((tool) => SEARCH.test(`${tool.name} ${tool.description}`)).slice(0, 1);
}

function fit(tool: ToolSpec, question: string): number {
  const named = vocabulary(tool.name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " "));
  const described = vocabulary(tool.description);
  const computes = [named, described].some((words) => words.has(stem("calculator")));
  let score = ARITHMETIC.test(question) && computes ? FITS : 0;
  for (const word of vocabulary(question)) score += named.has(word) ? 2 : described.has(word) ? 1 : 0;
  return score;
}

function vocabulary(text: string): Set<string> {
  return new Set(stems(text).map((word) => RELATED_STEMS.get(word) ?? word));
}

function callOf(tool: ToolSpec, evidence: Evidence): ToolCall {
  return { name: tool.name, arguments: JSON.stringify(fillSchema(tool.parameters, evidence, tool.name)) };
}
