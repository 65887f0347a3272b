import { hashText } from "../random.ts";
import { isStopWord, rawWords, stem } from "./words.ts";

/** Shares of a vector's energy that whole words, pairs of words and letter runs contribute. */
const WORD = 1;
const PAIR = 0.35;
const LETTERS = 0.12;
const KIND = 0.15;

/**
 * A unit vector of hashed words, pairs of words and runs of letters, so that texts that share words are near.
 * Each model hashes into a space of its own; the input type adds a direction of its own.
 */
export function embedText(text: string, model: string, inputType: string | undefined, dimensions: number): Float32Array {
  const seed = hashText(model);
  const vector = new Float32Array(dimensions);
  for (const [feature, weight] of featuresOf(text)) {
    const hash = hashText(feature, seed);
    const at = hash % dimensions;
    vector[at] = vector[at]! + (hash & 0x40000000 ? weight : -weight);
  }
  normalise(vector, 1);
  if (inputType !== undefined) {
    const at = hashText(`type:${inputType}`, seed) % dimensions;
    vector[at] = vector[at]! + KIND;
  }
  // A text without any word still needs a direction.
  if (vector.every((value) => value === 0)) vector[hashText(text, seed) % dimensions] = 1;
  return normalise(vector, 1);
}

function featuresOf(text: string): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (feature: string, weight: number): void => void counts.set(feature, (counts.get(feature) ?? 0) + weight);
  let before = "";
  for (const word of rawWords(text)) {
    if (isStopWord(word)) continue;
    const root = stem(word);
    add(root, WORD);
    if (before !== "") add(`${before} ${root}`, PAIR);
    before = root;
    if (root.length > 4) for (let at = 0; at + 4 <= root.length; at++) add(`~${root.slice(at, at + 4)}`, LETTERS);
  }
  // A word said often counts more, but far from proportionally; longer words are rarer and say more.
  for (const [feature, count] of counts) counts.set(feature, Math.sqrt(count) * Math.min(2, 0.6 + feature.length / 10));
  return counts;
}

function normalise(vector: Float32Array, length: number): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  if (sum === 0) return vector;
  const scale = length / Math.sqrt(sum);
  for (let at = 0; at < vector.length; at++) vector[at] = vector[at]! * scale;
  return vector;
}
