import { hashText } from "../random.ts";
import type { Evidence, Hint, JsonSchema } from "./json-schema.ts";
import { sentimentOf } from "./sentiment.ts";
import { isStopWord, keywords, rawWords, stem, stems } from "./words.ts";

const UNDECIDED = ["other", "unknown", "none", "general", "neutral", "n/a", "medium", "normal"];
const URGENT = /\b(?:urgent|urgently|immediately|asap|emergency|right now|critical|at once|stolen|fraud)\b/i;
const GRADES = ["urgent", "critical", "high"];

/** The listed value that the text speaks for. */
export function chooseEnum(values: unknown[], hint: Hint, evidence: Evidence): unknown {
  const labels = values.map((value) => String(value).toLowerCase());
  const mood = bySentiment(labels, evidence.question) ?? byUrgency(labels, hint, evidence.question);
  if (mood !== undefined) return values[mood];
  const said = new Map<string, number>();
  for (const word of stems(evidence.question)) said.set(word, 2);
  for (const word of stems(evidence.answer)) said.set(word, Math.max(said.get(word) ?? 0, 1));
  const scores = labels.map((label) => {
    const parts = stems(label.replace(/[_-]+/g, " "));
    return parts.reduce((sum, part) => sum + (said.get(part) ?? likeness(part, said)), 0) / Math.max(parts.length, 1);
  });
  const best = Math.max(...scores);
  if (best > 0) return values[scores.indexOf(best)];
  const undecided = labels.findIndex((label) => UNDECIDED.includes(label));
  return values[undecided === -1 ? hashText(evidence.question) % values.length : undecided];
}

function bySentiment(labels: string[], text: string): number | undefined {
  if (!labels.some((label) => label.startsWith("positive")) || !labels.some((label) => label.startsWith("negative"))) return undefined;
  const { label } = sentimentOf(text);
  for (const wanted of label === "mixed" ? ["mixed", "neutral", "negative"] : [label, "neutral", "positive"]) {
    const at = labels.findIndex((candidate) => candidate.startsWith(wanted));
    if (at !== -1) return at;
  }
  return undefined;
}

function byUrgency(labels: string[], hint: Hint, text: string): number | undefined {
  if (!labels.includes("high") || !labels.includes("low")) return undefined;
  if (!hint.words.some((word) => /^(?:urgen|priorit|sever|import)/.test(word))) return undefined;
  if (URGENT.test(text)) return labels.indexOf(GRADES.find((grade) => labels.includes(grade)) ?? "high");
  return labels.indexOf(sentimentOf(text).label === "negative" && labels.includes("medium") ? "medium" : "low");
}

/** Half a point for a word of the text that begins like this one ("refund" and "refunding" have met as stems already). */
function likeness(part: string, said: Map<string, number>): number {
  if (part.length < 4) return 0;
  for (const word of said.keys()) if (word.length > 3 && (word.startsWith(part.slice(0, 4)) && part.startsWith(word.slice(0, 4)))) return 0.5;
  return 0;
}

export function chooseBoolean(hint: Hint, evidence: Evidence): boolean {
  const mood = sentimentOf(evidence.question);
  if (hint.words.some((word) => /^(?:positiv|happy|satisf|recommend|like)/.test(word))) return mood.score > 0;
  if (hint.words.some((word) => /^(?:negativ|complain|angry|problem|escalat)/.test(word))) return mood.score < 0;
  if (hint.words.some((word) => /^(?:urgen|critical|emergenc)/.test(word))) return URGENT.test(evidence.question);
  const said = new Set(stems(evidence.question));
  return hint.words.some((word) => !isStopWord(word) && word.length > 3 && said.has(stem(word)));
}

/** A number that stands in the text next to the property's words, else a plausible one. */
export function chooseNumber(schema: JsonSchema, hint: Hint, evidence: Evidence): number {
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  const whole = [schema.type].flat().includes("integer");
  const fits = (value: number): boolean => (low === undefined || value >= low) && (high === undefined || value <= high) && (!whole || Number.isInteger(value));
  let value: number | undefined;
  if (hint.words.some((word) => /^(?:confiden|probab|certain)/.test(word))) value = scaled(0.5 + Math.abs(sentimentOf(evidence.question).score) / 2.2, low, high);
  else value = nearestNumber(hint, evidence.question, fits) ?? nearestNumber(hint, evidence.answer, fits);
  if (value === undefined && hint.words.some((word) => /^(?:rating|score|stars|sentiment|satisf)/.test(word))) {
    value = scaled((sentimentOf(evidence.question).score + 1) / 2, low, high);
  }
  value ??= typeof schema.default === "number" ? schema.default : (low ?? (high !== undefined && high < 1 ? high : 1));
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) value = schema.exclusiveMinimum + 1;
  return whole ? Math.round(value) : Math.round(value * 1000) / 1000;
}

function scaled(share: number, low = 0, high = low + 1): number {
  return low + Math.min(1, Math.max(0, share)) * (high - low);
}

function nearestNumber(hint: Hint, text: string, fits: (value: number) => boolean): number | undefined {
  const numbers = [...text.matchAll(/(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w])/g)]
    .map((match) => ({ at: match.index, value: Number(match[0].replaceAll(",", "")) }))
    .filter(({ value }) => fits(value));
  const lower = text.toLowerCase();
  const anchors = hint.words.filter((word) => !isStopWord(word) && word.length > 2).map((word) => lower.indexOf(word)).filter((at) => at !== -1);
  const distance = (at: number): number => (anchors.length === 0 ? at : Math.min(...anchors.map((anchor) => Math.abs(anchor - at))));
  return numbers.sort((left, right) => distance(left.at) - distance(right.at))[0]?.value;
}

const NAMES = String.raw`\p{Lu}[\p{L}'’-]+(?:\s+\p{Lu}[\p{L}'’-]+)*`;
const PATTERNS: [RegExp, RegExp][] = [
  [/e-?mail/, /[\w.+-]+@[\w-]+\.[\w.-]*\w/],
  [/\b(?:url|uri|link|website)\b/, /https?:\/\/[^\s<>"')]+/],
  [/\b(?:date|day|when|deadline)\b/, /\d{4}-\d{2}-\d{2}|\b(?:today|tomorrow|yesterday|tonight|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b/i],
  [/\b(?:phone|telephone|mobile)\b/, /\+?\d[\d ()-]{6,}\d/],
  [/\b(?:id|number|code|reference|order|ticket|sku)\b/, /#?\b(?=[\w-]*\d)[A-Za-z0-9][\w-]*\b/],
  [/\b(?:expression|calculation|formula|equation|math)\b/, /-?\(*\s*\d+(?:\.\d+)?\)*(?:\s*(?:[-+*/^x×÷]|\*\*)\s*\(*\s*\d+(?:\.\d+)?\)*)+/],
  [/\b(?:city|location|place|country|town|destination|region|address)\b/, new RegExp(String.raw`(?<=\b(?:in|at|for|from|to|near|of|around)\s+)${NAMES}`, "u")],
  [/\b(?:name|person|author|customer|user)\b/, new RegExp(String.raw`(?<=\b(?:name is|name's|I am|I'm|called|by|for|with)\s+)${NAMES}`, "u")],
  [/\b(?:name|person|author|city|location|place|country|company|product|title|entity)\b/, new RegExp(String.raw`(?<=[\p{L}\p{N},;]\s+)${NAMES}`, "u")],
];

/** A valid value for each format, when the text holds none. */
const FORMATS: Record<string, string> = {
  email: "someone@example.com", uri: "https://example.com/", url: "https://example.com/", date: "2025-01-01", time: "12:00:00Z",
  "date-time": "2025-01-01T12:00:00Z", duration: "PT1H", uuid: "00000000-0000-4000-8000-000000000000", ipv4: "192.0.2.1", ipv6: "2001:db8::1",
};
const STRICT_FORMATS: Record<string, RegExp> = { email: PATTERNS[0]![1], uri: PATTERNS[1]![1], url: PATTERNS[1]![1], date: /\d{4}-\d{2}-\d{2}/ };

/** A piece of the text of the kind that the property's name asks for, else the whole of what was asked. */
export function chooseString(schema: JsonSchema, hint: Hint, evidence: Evidence): string {
  const fallback = FORMATS[schema.format ?? ""];
  if (fallback !== undefined) return STRICT_FORMATS[schema.format!]?.exec(`${evidence.question}\n${evidence.context}`)?.[0] ?? fallback;
  const value =
    byName(hint.name, evidence) ??
    byPreposition(hint, evidence.question) ??
    byPattern(hint.name, evidence) ??
    byPattern(hint.words.join(" "), evidence) ??
    evidence.question;
  const trimmed = schema.maxLength === undefined ? value : value.slice(0, schema.maxLength);
  return trimmed.padEnd(schema.minLength ?? 0, ".");
}

function byName(name: string, { question, answer }: Evidence): string | undefined {
  if (/\b(?:query|question|search|prompt|input|text|request|message)\b/.test(name)) return question;
  if (/\b(?:answer|response|reply|reason|reasoning|explanation|summary|rationale|description|content|result)\b/.test(name)) return answer;
  if (/\b(?:topic|subject|category|keyword|theme|intent|label)\b/.test(name)) return keywords(question, 2).join(" ").toLowerCase() || "general";
  if (/\bsentiment\b/.test(name)) return sentimentOf(question).label;
  if (/\blanguage\b/.test(name)) return rawWords(question).some(isStopWord) ? "English" : "unknown";
  return undefined;
}

/** For a property called "from", "to" and the like: what follows that word; of bare codes the first or the last. */
function byPreposition(hint: Hint, question: string): string | undefined {
  const side = /\b(?:from|source|origin|base)\b/.test(hint.name) ? "from" : /\b(?:to|target|destination)\b/.test(hint.name) ? "to" : undefined;
  if (side === undefined) return undefined;
  const after = new RegExp(String.raw`\b${side === "to" ? "(?:to|into|in)" : "from"}\s+(?:[\d.,]+\s+)?(${NAMES}|\p{Lu}{3})`, "u").exec(question)?.[1];
  return after ?? (question.match(/\b\p{Lu}{3}\b/gu) ?? []).at(side === "from" ? 0 : -1);
}

function byPattern(about: string, { question, context }: Evidence): string | undefined {
  for (const [kind, pattern] of PATTERNS) {
    if (!kind.test(about)) continue;
    const found = (pattern.exec(question) ?? pattern.exec(context))?.[0];
    if (found !== undefined) return found.trim();
  }
  return undefined;
}
