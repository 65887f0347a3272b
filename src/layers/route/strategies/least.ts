const alike = (): number => 0;

/**
 * The candidate with the least score; of these, the one with the least second score; and of equals one by lot, so that many processes do
 * not all take the same.
 */
export function least<C>(
  candidates: readonly C[],
  random: () => number,
  scoreOf: (candidate: C, at: number) => number,
  secondOf: (candidate: C) => number = alike,
): C {
  let best = candidates[0] as C;
  let bestScore = Infinity;
  let bestSecond = Infinity;
  let equals = 0;
  for (let at = 0; at < candidates.length; at++) {
    const candidate = candidates[at] as C;
    const score = scoreOf(candidate, at);
    if (score > bestScore) continue;
    const second = secondOf(candidate);
    if (score < bestScore || second < bestSecond) equals = 0;
    else if (second > bestSecond) continue;
    bestScore = score;
    bestSecond = second;
    equals += 1;
    if (random() * equals < 1) best = candidate;
  }
  return best;
}
