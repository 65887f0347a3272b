const SLICES = 64;

/** Pieces that stand for a whole. */
export interface Sample {
  readonly texts: readonly string[];
  /** How many times as long the whole is. */
  readonly scale: number;
}

/**
 * What may be counted in place of texts that are too long to be counted whole: slices at equal distances over all of them, together
 * at most `maxChars` long. What mixes prose with data is so represented by both.
 */
export function sampleOf(texts: readonly string[], maxChars: number): Sample {
  let length = 0;
  for (const text of texts) length += text.length;
  if (length <= maxChars) return { texts, scale: 1 };
  const slices: string[] = [];
  const sliceLength = Math.floor(maxChars / SLICES);
  const distance = length / SLICES;
  let sampled = 0;
  let start = 0;
  for (const text of texts) {
    for (let at = slices.length * distance - start; at < text.length; at = slices.length * distance - start) {
      const slice = text.slice(Math.floor(at), Math.floor(at) + sliceLength);
      slices.push(slice);
      sampled += slice.length;
    }
    start += text.length;
  }
  return { texts: slices, scale: length / sampled };
}
