import type { Candidate, RouteQuestion, Strategy } from "../strategy.ts";
import { HASH_START, hashOn, mixed } from "./text-hash.ts";

/** Requests of the last minute that a deployment may have, times its share. */
const MOST = 1.25;
/** And so many more: shares of a few requests say nothing. */
const SLACK = 20;
/** Where nobody says what the opening is: the system prompt and the first message of the user. */
const OPENING_TEXTS = 2;
/** Of a text longer than twice this, the start and the end are looked at. */
const LOOKED_AT = 512;

/**
 * A conversation stays where it began: weighted rendezvous hashing, so that only the conversations of a deployment that is gone move, and a
 * new one takes no more than its share. Who has had more requests of late than its share bears is passed over (bounded load).
 */
export function session(): Strategy {
  const seeds = new WeakMap<Candidate, number>();
  const seedOf = (candidate: Candidate): number => {
    let seed = seeds.get(candidate);
    if (seed === undefined) seeds.set(candidate, (seed = hashOn(HASH_START, candidate.id)));
    return seed;
  };
  return {
    name: "session",
    pick(candidates, question) {
      const key = keyOf(question);
      const bound = boundOf(candidates);
      let best = candidates[0] as (typeof candidates)[number];
      let bestRank = -Infinity;
      for (const candidate of candidates) {
        if (candidate.requestsOfLate > bound * candidate.weight + SLACK) continue;
        const rank = rankOf(mixed(key ^ seedOf(candidate)), candidate.weight);
        if (rank > bestRank) [best, bestRank] = [candidate, rank];
      }
      return best;
    },
  };
}

/** Schindelhauer and Schomaker 2005: the greatest of -weight / ln(h), h evenly in (0, 1), is each candidate's as often as its weight says. */
function rankOf(hash: number, weight: number): number {
  return -weight / Math.log(((hash >>> 0) + 0.5) / 2 ** 32);
}

/** Requests of the last minute, for each unit of weight. */
function boundOf(candidates: readonly Candidate[]): number {
  let [requests, weight] = [0, 0];
  for (const candidate of candidates) {
    requests += candidate.requestsOfLate;
    weight += candidate.weight;
  }
  return (MOST * requests) / weight;
}

function keyOf({ session: named, texts, openingTexts = OPENING_TEXTS }: RouteQuestion): number {
  if (named !== undefined) return hashOn(HASH_START, named);
  let key = HASH_START;
  for (let at = 0; at < Math.min(openingTexts, texts.length); at++) key = hashEnds(key, texts[at] as string);
  return key;
}

function hashEnds(key: number, text: string): number {
  if (text.length <= 2 * LOOKED_AT) return hashOn(key, text);
  return hashOn(hashOn(key ^ text.length, text, 0, LOOKED_AT), text, text.length - LOOKED_AT);
}
