import type { TiktokenBPE } from "js-tiktoken/lite";

/** Longer pieces are counted in parts of this many bytes, since the time that one takes grows with the square of its length. */
const LONGEST_BYTES = 256;

const NO_RANK = 2 ** 31 - 1;

/**
 * Counts the tokens of byte pair encoding, by a table of js-tiktoken. The counts are those of js-tiktoken but for pieces (words, runs
 * of marks or of ideographs) of more than 256 bytes, where it may be one token more or less for each 256. It is here since js-tiktoken
 * takes 4 times as long to be ready and, for ideographs, 20 to 1,000 times as long to encode: it looks every neighbour up again after
 * every merge.
 */
export class BytePairs {
  readonly #pieces: RegExp;
  /** Of each token, its bytes as Latin-1, its rank: the lower, the earlier it is merged. */
  readonly #ranks = new Map<string, number>();
  /** Where each part of the piece at hand begins, and the rank of what it and the next one make. */
  readonly #starts = new Int32Array(LONGEST_BYTES + 1);
  readonly #pairs = new Int32Array(LONGEST_BYTES + 1);

  constructor({ pat_str: pattern, bpe_ranks: table }: TiktokenBPE) {
    this.#pieces = new RegExp(pattern, "gu");
    for (const line of table.split("\n")) {
      const [, first, ...tokens] = line.split(" ");
      for (const [at, token] of tokens.entries()) this.#ranks.set(atob(token), Number(first) + at);
    }
  }

  /** Tokens of a text; special tokens in it count as the text that they are written with. */
  count(text: string): number {
    let tokens = 0;
    for (const [piece] of text.matchAll(this.#pieces)) tokens += this.#tokensOf(Buffer.from(piece, "utf8").toString("latin1"));
    return tokens;
  }

  #tokensOf(piece: string): number {
    if (this.#ranks.has(piece)) return 1;
    let tokens = 0;
    for (let at = 0; at < piece.length; at += LONGEST_BYTES) tokens += this.#merge(piece.slice(at, at + LONGEST_BYTES));
    return tokens;
  }

  /** Merges the neighbours of the lowest rank until none has one. @returns how many parts are left */
  #merge(bytes: string): number {
    let parts = bytes.length;
    for (let at = 0; at <= parts; at += 1) this.#starts[at] = at;
    for (let at = 0; at < parts; at += 1) this.#pairs[at] = this.#rankOf(bytes, at, parts);
    for (let best = this.#lowest(parts); best >= 0; best = this.#lowest(parts)) {
      this.#starts.copyWithin(best + 1, best + 2, parts + 1);
      this.#pairs.copyWithin(best + 1, best + 2, parts);
      parts -= 1;
      this.#pairs[best] = this.#rankOf(bytes, best, parts);
      if (best > 0) this.#pairs[best - 1] = this.#rankOf(bytes, best - 1, parts);
    }
    return parts;
  }

  #rankOf(bytes: string, at: number, parts: number): number {
    if (at + 2 > parts) return NO_RANK;
    return this.#ranks.get(bytes.slice(this.#starts[at], this.#starts[at + 2])) ?? NO_RANK;
  }

  /** Which part makes the pair of the lowest rank; -1 = none. */
  #lowest(parts: number): number {
    let lowest = NO_RANK;
    let found = -1;
    for (let at = 0; at < parts; at += 1) {
      const rank = this.#pairs[at] ?? NO_RANK;
      if (rank >= lowest) continue;
      lowest = rank;
      found = at;
    }
    return found;
  }
}
