import { rawWords } from "./words.ts";

const POSITIVE = new Set(
  `adore amazing awesome beautiful best better brilliant charming comfortable delicious delight delighted delightful easy
    enjoy enjoyed enjoyable excellent exceptional fantastic fast favorite favourite fine flawless friendly fun glad good
    great happy helpful impressed impressive incredible like liked love loved lovely nice outstanding perfect perfectly
    pleasant pleased pleasure quick recommend recommended reliable satisfied smooth solid stunning superb terrific thank
    thanks thrilled wonderful working works worth`.split(/\s+/),
);
const NEGATIVE = new Set(
  `angry annoyed annoying awful bad bland bored boring broke broken blocked bug buggy complaint confusing cracked crash
    crashed crashes damaged declined defective dirty disappointed disappointing disappointment dislike disappeared
    disgusting dreadful error fail failed fails failure faulty frustrated frustrating garbage gone hate hated fraud horrible
    late lost mediocre mess misleading missing never noisy overpriced pathetic poor poorly problem refund regret rude slow
    stolen stuck stupid terrible unacceptable unfriendly unhappy unreliable upset useless waste wasted worse worst wrong`.split(/\s+/),
);
const NEGATIONS = new Set(["not", "no", "never", "don", "doesn", "didn", "isn", "wasn", "aren", "weren", "hardly", "without", "cannot", "can", "won"]);

export type Sentiment = "positive" | "negative" | "neutral" | "mixed";

/** Counts words of praise and of complaint; a negation up to three words before turns a word round. */
export function sentimentOf(text: string): { label: Sentiment; score: number } {
  const words = rawWords(text.replace(/\b(?:would|'d|should) like\b/gi, "want"));
  let positive = 0;
  let negative = 0;
  words.forEach((word, at) => {
    const praise = POSITIVE.has(word);
    if (!praise && !NEGATIVE.has(word)) return;
    const negated = words.slice(Math.max(0, at - 3), at).some((before, index, window) => isNegation(before, window[index + 1]));
    if (praise !== negated) positive++;
    else negative++;
  });
  const total = positive + negative;
  if (total === 0) return { label: "neutral", score: 0 };
  const score = (positive - negative) / total;
  const label = positive === negative ? "mixed" : score > 0 ? "positive" : "negative";
  return { label, score };
}

/** "can" negates only as the stump of "can't". */
function isNegation(word: string, next: string | undefined): boolean {
  return word === "can" || word === "won" ? next === "t" : NEGATIONS.has(word);
}
