/** Where hashes start. */
export const HASH_START = 0x811c9dc5;

/**
 * 32 bits with a sign that depend on the characters of a text from one place to another, and on the hash of what came before. Four characters
 * at a time, for prompts are long; not against an adversary, who would gain nothing.
 */
export function hashOn(hash: number, text: string, from = 0, to = text.length): number {
  let running = hash;
  let at = from;
  for (; at + 3 < to; at += 4) {
    const four = text.charCodeAt(at) ^ (text.charCodeAt(at + 1) << 8) ^ (text.charCodeAt(at + 2) << 16) ^ (text.charCodeAt(at + 3) << 24);
    running = Math.imul(running ^ four, 0x9e3779b1);
    running ^= running >>> 15;
  }
  for (; at < to; at++) running = Math.imul(running ^ text.charCodeAt(at), 0x01000193);
  return running;
}

/** Spreads a hash over all its bits (the end of MurmurHash 3), so that hashes that are alike are so no more. */
export function mixed(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
