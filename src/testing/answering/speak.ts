import { currentExchange, lastUserText, type Conversation, type Turn } from "./conversation.ts";
import { bestSentences, isQuestion, rankSentences, type Source } from "./extract.ts";
import { sentimentOf } from "./sentiment.ts";
import { keywords, rawWords, sentences } from "./words.ts";

/** The least match that counts as an answer. */
const WORTH_SAYING = 0.2;
const ASKS = /^["'\s]*(?:who|what|when|where|why|how|which|can|could|is|are|do|does|tell|give|explain|list|write|say)\b/i;
const GREETING = /^\s*(?:hi|hello|hey|good (?:morning|afternoon|evening)|thanks|thank you)\b/i;

/** What is asked, and what it is asked about. */
export interface Reading {
  question: string;
  /** Everything else in the last message: where a RAG prompt puts its documents. */
  context: string;
}

/** Separates the question of the last user message from the material around it. */
export function readQuestion(turns: Turn[]): Reading {
  const text = lastUserText(turns);
  const marked = [...text.matchAll(/(?:^|\n)\s*(?:<question>|(?:user )?(?:question|query|input)\s*:)\s*/gi)].at(-1);
  if (marked !== undefined) {
    const start = marked.index + marked[0].length;
    const rest = text.slice(start);
    const end = rest.search(/<\/question>|\n\s*(?:(?:helpful )?answer|response|output)\s*:|\n\s*\n/i);
    const question = (end === -1 ? rest : rest.slice(0, end)).trim();
    return { question, context: `${text.slice(0, marked.index)}\n${end === -1 ? "" : rest.slice(end)}` };
  }
  const parts = sentences(text);
  const asked = parts.findLast(isQuestion);
  if (text.length < 400 || asked === undefined) return { question: text.trim(), context: "" };
  return { question: asked, context: parts.filter((part) => part !== asked).join("\n") };
}

/** A plain answer, and whether it comes from something that was given. */
export interface Speech {
  text: string;
  grounded: boolean;
}

/** A plain answer; `variant` above 0 gives the next best ones. */
export function speak({ turns }: Conversation, { question, context }: Reading, variant = 0): Speech {
  const results = currentExchange(turns).filter((turn) => turn.role === "tool");
  if (results.length > 0) return grounded(fromToolResults(question, results));
  const instructions = turns.filter((turn) => turn.role === "system").map((turn) => turn.text).join("\n");
  const label = classify(`${instructions}\n${context === "" ? question : context}`, question);
  if (label !== undefined) return grounded(label);
  const states = !sentences(question).some(isQuestion) && !ASKS.test(question);
  // A statement is no question about what was said before: only instructions and documents can answer it.
  const asked = states ? turns.filter((turn) => turn.role === "system" || turn === turns.at(-1)) : turns;
  const best = bestSentences(rankSentences(question, sourcesOf(asked, context)).filter((match) => match.score >= WORTH_SAYING), variant);
  if (best.length > 0) return grounded(best.join(" "));
  if (states && /\b(?:my|I|I'm|I’m|we|our)\b/i.test(question)) return grounded(`Noted: ${secondPerson(question)}`);
  return { text: withoutContext(question, variant), grounded: false };
}

function grounded(text: string): Speech {
  return { text, grounded: true };
}

function fromToolResults(question: string, results: Turn[]): string {
  const texts = results.map((turn) => turn.text.trim()).filter(Boolean);
  if (texts.every((text) => text.length <= 300)) return texts.join(" ");
  const best = bestSentences(rankSentences(question, texts.map((text) => ({ text, weight: 1 }))));
  return best.length > 0 ? best.join(" ") : texts.join(" ").slice(0, 300);
}

/** Later turns beat earlier ones; what the user said is told back in the second person. */
function sourcesOf(turns: Turn[], context: string): Source[] {
  const last = turns.findLastIndex((turn) => turn.role === "user");
  const earlier = turns.slice(0, Math.max(last, 0)).map((turn, at): Source => {
    const text = turn.role === "user" ? secondPerson(turn.text) : turn.text;
    return { text: text.replace(/^Noted: /, ""), weight: 0.9 + at / (10 * turns.length) };
  });
  return [{ text: context, weight: 1.05 }, ...earlier];
}

function withoutContext(question: string, variant: number): string {
  if (GREETING.test(question) && rawWords(question).length < 6) return "Hello! How can I help you today?";
  const about = keywords(question, 6).join(", ") || "that";
  const phrasings = [
    `You asked about ${about}. I have no material on it here, so I can only confirm what you asked.`,
    `I understand that this is about ${about}. Nothing that I was given says more.`,
    `This concerns ${about}; no source that I can see answers it.`,
  ];
  return phrasings[variant % phrasings.length]!;
}

/** A one-word answer when the instructions ask for a class. */
function classify(instructions: string, question: string): string | undefined {
  if (/\bsentiment\b/i.test(instructions) && /\bpositive\b/i.test(instructions)) return sentimentOf(withoutInstructions(question)).label;
  return undefined;
}

/** The text to be judged, without a first line that says how to judge it. */
function withoutInstructions(text: string): string {
  const marked = /(?:^|\n)\s*(?:text|review|comment|message|sentence)\s*:\s*([\s\S]+)/i.exec(text)?.[1];
  return marked ?? text.replace(/^[^\n:]*\bsentiment\b[^\n:]*[:\n]/i, "");
}

const SECOND_PERSON: [RegExp, string][] = [
  [/\bI am\b|\bI'm\b|\bI’m\b/g, "you are"],
  [/\bI was\b/g, "you were"],
  [/\bI've\b/g, "you have"],
  [/\bmyself\b/gi, "yourself"],
  [/\bmy\b/gi, "your"],
  [/\bmine\b/gi, "yours"],
  [/\bI\b/g, "you"],
  [/\bme\b/g, "you"],
];

function secondPerson(text: string): string {
  let turned = text;
  for (const [pattern, replacement] of SECOND_PERSON) turned = turned.replace(pattern, replacement);
  return sentences(turned).map((part) => part.replace(/\p{L}/u, (letter) => letter.toUpperCase())).join(" ");
}
