import type { Candidate, Strategy } from "../strategy.ts";

/** Who was not asked for the longest time is next, whoever else was there in between. */
export function roundRobin(): Strategy {
  const turns = new WeakMap<Candidate, number>();
  let turn = 0;
  const turnOf = (candidate: Candidate): number => turns.get(candidate) ?? 0;
  return {
    name: "round-robin",
    pick(candidates) {
      const next = candidates.reduce((first, candidate) => (turnOf(candidate) < turnOf(first) ? candidate : first));
      turns.set(next, (turn += 1));
      return next;
    },
  };
}
