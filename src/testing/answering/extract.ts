import { sentences, stems } from "./words.ts";

/** A text that may hold the answer, and how much it is to be believed. */
export interface Source {
  text: string;
  weight: number;
}

interface Candidate {
  text: string;
  order: number;
  weight: number;
  stems: Set<string>;
}

/** A sentence that matches, with its share of what a perfect match would have. */
export interface Match {
  text: string;
  order: number;
  score: number;
}

/** How much a word of the question that no sentence holds lessens every score. */
const MISSING_SHARE = 0.35;

/** Sentences of the sources by how well they match the question, best first; only those that match at all. */
export function rankSentences(question: string, sources: Source[]): Match[] {
  const candidates = collect(sources);
  const { rarity, perfect } = weighWords(new Set(stems(question)), candidates);
  return candidates
    .map(({ text, order, weight, stems: held }) => {
      let sum = 0;
      for (const [stem, value] of rarity) if (held.has(stem)) sum += value;
      return { text, order, score: ((sum / perfect) * weight) / (1 + Math.max(0, held.size - 30) / 60) };
    })
    .filter((match) => match.score > 0)
    .sort((left, right) => right.score - left.score || left.order - right.order);
}

/** The rarer a word among the candidates, the more it says. */
function weighWords(wanted: Set<string>, candidates: Candidate[]): { rarity: Map<string, number>; perfect: number } {
  const rarity = new Map<string, number>();
  let perfect = 0;
  for (const stem of wanted) {
    const holding = candidates.reduce((count, candidate) => count + (candidate.stems.has(stem) ? 1 : 0), 0);
    const value = Math.log(1 + (candidates.length + 1) / (holding + 0.5));
    perfect += holding === 0 ? value * MISSING_SHARE : value;
    if (holding > 0) rarity.set(stem, value);
  }
  return { rarity, perfect };
}

/** A line that tells the model what to do with what follows. */
const INSTRUCTION = /^(?:you|answer|use|reply|respond|given|based on|here)\b.*:$/i;
/** What prompts write around the material. */
const LABEL = /^(?:context|documents?|sources?|passages?|text|history|chat history)\s*:\s+|\(?source: [^\s)]*\)?/gi;

function collect(sources: Source[]): Candidate[] {
  const seen = new Map<string, Candidate>();
  let order = 0;
  for (const source of sources) {
    // A heading, or a sentence that ends in a colon, belongs to what follows it.
    let heading = "";
    let opening = "";
    for (const sentence of sentences(source.text)) {
      const text = `${opening}${sentence.replace(LABEL, "").trim()}`;
      opening = "";
      if (text === "" || isQuestion(text)) continue;
      if (isHeading(text) || INSTRUCTION.test(text)) heading = text;
      else if (text.endsWith(":") && text.length < 200) opening = `${text} `;
      else {
        const known = seen.get(text);
        if (known === undefined) seen.set(text, { text, order: order++, weight: source.weight, stems: new Set(stems(`${heading} ${text}`)) });
        else known.weight = Math.max(known.weight, source.weight);
        heading = "";
      }
    }
  }
  return [...seen.values()];
}

export function isQuestion(sentence: string): boolean {
  return /\?["'”)\]]*$/.test(sentence);
}

function isHeading(text: string): boolean {
  return /^#{1,6}\s/.test(text) || (text.endsWith(":") && text.length < 40);
}

/** The best sentence and those nearly as good, in their own order, at most three; `skip` starts further down. */
export function bestSentences(matches: Match[], skip = 0): string[] {
  const first = matches[Math.min(skip, matches.length - 1)];
  if (first === undefined) return [];
  const chosen: Match[] = [];
  for (const match of matches) {
    const near = match === first || (match.score <= first.score && match.score >= first.score * 0.7);
    const repeats = chosen.some(({ text }) => text.includes(match.text) || match.text.includes(text));
    if (near && !repeats && chosen.length < 3) chosen.push(match);
  }
  return chosen.sort((left, right) => left.order - right.order).map((match) => match.text);
}
