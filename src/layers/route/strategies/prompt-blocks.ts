import { HASH_START, hashOn } from "./text-hash.ts";

/** 128 tokens, the grain of OpenAI's cache, at four characters each. */
export const BLOCK_CHARACTERS = 512;

/** A prompt in blocks: each is known by the hash of everything up to its end. What is left after the last whole block is not kept by caches either. */
export function blocksOf(texts: readonly string[]): number[] {
  const blocks: number[] = [];
  let hash = HASH_START;
  let room = BLOCK_CHARACTERS;
  for (const text of texts) {
    let at = 0;
    while (text.length - at >= room) {
      hash = hashOn(hash, text, at, at + room);
      blocks.push(hash);
      at += room;
      room = BLOCK_CHARACTERS;
    }
    hash = hashOn(hash, text, at);
    room -= text.length - at;
  }
  return blocks;
}

/** The blocks that a deployment has seen, the latest of them: its prompt cache as it looks from here. */
export class SeenBlocks {
  readonly #blocks = new Set<number>();
  readonly #maxBlocks: number;

  constructor(maxBlocks: number) {
    this.#maxBlocks = maxBlocks;
  }

  get size(): number {
    return this.#blocks.size;
  }

  /** How many blocks from the start were seen. Whoever has a block has those before it (see `add`), so that halving finds the end. */
  prefixOf(blocks: readonly number[]): number {
    let [seen, unseen] = [0, blocks.length + 1];
    while (unseen - seen > 1) {
      const middle = (seen + unseen) >> 1;
      if (this.#blocks.has(blocks[middle - 1] as number)) seen = middle;
      else unseen = middle;
    }
    return seen;
  }

  /** From the end: the start, which most prompts share, is then the newest, and the last to be forgotten. */
  add(blocks: readonly number[]): void {
    for (let at = Math.min(blocks.length, this.#maxBlocks) - 1; at >= 0; at--) {
      const block = blocks[at] as number;
      this.#blocks.delete(block);
      this.#blocks.add(block);
    }
    for (const oldest of this.#blocks) {
      if (this.#blocks.size <= this.#maxBlocks) break;
      this.#blocks.delete(oldest);
    }
  }
}
