/** A source of numbers in [0, 1). */
export type Random = () => number;

/** Conversations, each a list of questions that are asked one after the other. */
export type Workload = string[][];

/** The skew of the popularity: the second most popular question comes half as often as the first, the third a third. */
export const ZIPF_EXPONENT = 1;

const SUGGESTED_TOPICS = 20;
const FOLLOW_UPS_PER_TOPIC = 5;
const MAX_TURNS = 4;

/** mulberry32: the same seed draws the same workload on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The items in a random order, so that each seed makes other items popular. */
export function shuffle<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .sort((left, right) => left.rank - right.rank)
    .map(({ item }) => item);
}

/** Draws items by Zipf's law, the first being the most popular. */
export function zipfDraw<T>(items: readonly T[], random: Random): () => T {
  const weights = items.map((_, rank) => (rank + 1) ** -ZIPF_EXPONENT);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return () => {
    let left = random() * total;
    const rank = weights.findIndex((weight) => (left -= weight) < 0);
    return items.at(rank) as T;
  };
}

/** Single questions, drawn from all of them. */
export function drawQuestions(questions: readonly string[], requests: number, random: Random): Workload {
  const draw = zipfDraw(shuffle(questions, random), random);
  return Array.from({ length: requests }, () => [draw()]);
}

/**
 * Conversations of one to four turns. They open with one of the questions that the chatbot suggests, one for each of
 * some topics; the follow-ups are typed. Both are drawn by Zipf's law: openings repeat word for word, and conversations
 * drift apart with every turn.
 */
export function drawConversations(questionsByTopic: readonly (readonly string[])[], requests: number, random: Random): Workload {
  const topics = shuffle(questionsByTopic, random).slice(0, SUGGESTED_TOPICS).map((questions) => {
    const [opening = "", ...others] = shuffle(questions, random).slice(0, 1 + FOLLOW_UPS_PER_TOPIC);
    return { opening, drawFollowUp: zipfDraw(others, random) };
  });
  const drawTopic = zipfDraw(topics, random);
  const workload: Workload = [];
  for (let left = requests; left > 0; ) {
    const { opening, drawFollowUp } = drawTopic();
    const turns = Math.min(left, 1 + Math.floor(random() * MAX_TURNS));
    const conversation = new Set([opening]);
    while (conversation.size < turns) conversation.add(drawFollowUp());
    workload.push([...conversation]);
    left -= turns;
  }
  return workload;
}
