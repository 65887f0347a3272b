import { hashText } from "./random.ts";

/** Provider-side prompt caching. */
export interface PromptCacheOptions {
  /** Prompts shorter than this are not cached. @default 1024 */
  minTokens?: number;
  /** The grain of what is cached. @default 128 */
  blockTokens?: number;
  /** Blocks that it holds; the one used least recently goes first. @default 100000 */
  maxBlocks?: number;
}

const CHARACTERS_PER_TOKEN = 4;

/** Remembers prefixes of prompts in blocks; a block is known by the hash of everything up to its end. */
export class PromptCache {
  readonly #minTokens: number;
  readonly #blockTokens: number;
  readonly #maxBlocks: number;
  readonly #blocks = new Set<string>();

  constructor({ minTokens = 1_024, blockTokens = 128, maxBlocks = 100_000 }: PromptCacheOptions) {
    this.#minTokens = minTokens;
    this.#blockTokens = blockTokens;
    this.#maxBlocks = maxBlocks;
  }

  /** How many tokens of this prompt were seen at the start of an earlier one; remembers this one. */
  read(model: string, prefix: string): number {
    const size = this.#blockTokens * CHARACTERS_PER_TOKEN;
    if (prefix.length < this.#minTokens * CHARACTERS_PER_TOKEN) return 0;
    const blocks = Math.floor(prefix.length / size);
    let cached = 0;
    let running = hashText(model);
    let check = hashText(model, 1);
    for (let block = 0; block < blocks; block++) {
      const text = prefix.slice(block * size, (block + 1) * size);
      running = hashText(text, running);
      check = hashText(text, check ^ 0x5bd1e995);
      const key = `${running}.${check}`;
      if (cached === block && this.#blocks.has(key)) cached++;
      this.#remember(key);
    }
    const tokens = cached * this.#blockTokens;
    return tokens >= this.#minTokens ? tokens : 0;
  }

  clear(): void {
    this.#blocks.clear();
  }

  #remember(key: string): void {
    this.#blocks.delete(key);
    this.#blocks.add(key);
    if (this.#blocks.size > this.#maxBlocks) this.#blocks.delete(this.#blocks.values().next().value!);
  }
}
