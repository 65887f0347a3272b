import { seededRandom, type Random } from "../../src/testing/random.ts";

/** A question as it is sent: the system prompt, and then what the user and the model said in turn. */
export interface Turn {
  readonly atMs: number;
  readonly system: string;
  readonly said: readonly string[];
}

/** Applications, each with a system prompt of its own; the first is used most (Zipf). */
const SYSTEM_PROMPTS = 12;
const SYSTEM_TOKENS = [1_200, 3_600] as const;
/** Conversations that go on at once. */
const CONVERSATIONS = 240;
/** What comes to a prompt with each turn, tokens on average. */
const QUESTION_TOKENS = 160;
const ANSWER_TOKENS = 260;
/** A conversation ends after each turn with this probability: eight turns on average. */
const ENDS = 1 / 8;

interface Talk {
  readonly system: string;
  said: readonly string[];
}

/** Arrivals by chance (Poisson), of whichever conversation it is. Answers are part of the script, so that both sides are asked the same. */
export function conversations(requests: number, perSecond: number, seed: number): Turn[] {
  const random = seededRandom(seed);
  const systems = Array.from({ length: SYSTEM_PROMPTS }, () => textOf(SYSTEM_TOKENS[0] + random() * (SYSTEM_TOKENS[1] - SYSTEM_TOKENS[0]), random));
  const begin = (): Talk => ({ system: systems[zipf(random)] as string, said: [] });
  const talks = Array.from({ length: CONVERSATIONS }, begin);
  let atMs = 0;
  return Array.from({ length: requests }, () => {
    atMs += exponential(1_000 / perSecond, random);
    const place = Math.floor(random() * CONVERSATIONS);
    const talk = talks[place] as Talk;
    const said = [...talk.said, textOf(exponential(QUESTION_TOKENS, random), random)];
    talk.said = [...said, textOf(exponential(ANSWER_TOKENS, random), random)];
    if (random() < ENDS) talks[place] = begin();
    return { atMs, system: talk.system, said };
  });
}

/** Words that no other text has, so that nothing is alike by accident. */
function textOf(tokens: number, random: Random): string {
  const words: string[] = [];
  for (let characters = 0; characters < tokens * 4; characters += 8) words.push(Math.floor(36 ** 7 * random()).toString(36).padStart(7, "0"));
  return words.join(" ");
}

function exponential(mean: number, random: Random): number {
  return -Math.log(1 - random()) * mean;
}

function zipf(random: Random): number {
  const weights = Array.from({ length: SYSTEM_PROMPTS }, (_, at) => 1 / (at + 1));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  return Math.max(0, weights.findIndex((weight) => (left -= weight) < 0));
}
