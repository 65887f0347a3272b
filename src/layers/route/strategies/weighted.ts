import type { Candidate, Strategy } from "../strategy.ts";

/**
 * Smooth weighted round-robin, as in nginx: with each pick everybody is owed the share of its weight, and who is owed most is asked.
 * What somebody is owed stays as it is while it is no candidate: it is never more than two requests.
 */
export function weighted(): Strategy {
  const owed = new WeakMap<Candidate, number>();
  return {
    name: "weighted",
    pick(candidates) {
      const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
      let next = candidates[0] as (typeof candidates)[number];
      let most = -Infinity;
      for (const candidate of candidates) {
        const now = (owed.get(candidate) ?? 0) + candidate.weight / total;
        owed.set(candidate, now);
        if (now > most) [next, most] = [candidate, now];
      }
      owed.set(next, most - 1);
      return next;
    },
  };
}
