import { createHash } from "node:crypto";
import { Embeddings, type EmbeddingsParams } from "@langchain/core/embeddings";
import { type CallCounts, noCalls } from "./counts.ts";

export interface FakeEmbeddingsFields extends EmbeddingsParams {
  /** The model's name; other models give other vectors. @default "fake-embeddings" */
  model?: string;
  /** Where each call, not each text, is counted. @default counts of its own */
  counts?: CallCounts;
  /** Length of the vectors. @default 64 */
  dimensions?: number;
}

/** Hashed bags of words: texts that share words are near, and the same text always gets the same vector. */
export class FakeEmbeddings extends Embeddings<number[]> {
  readonly model: string;
  readonly counts: CallCounts;
  readonly dimensions: number;

  constructor(fields: FakeEmbeddingsFields = {}) {
    super(fields);
    this.model = fields.model ?? "fake-embeddings";
    this.counts = fields.counts ?? noCalls();
    this.dimensions = fields.dimensions ?? 64;
  }

  override async embedQuery(text: string): Promise<number[]> {
    this.counts.embeddings += 1;
    return this.#vector(text);
  }

  override async embedDocuments(texts: string[]): Promise<number[][]> {
    this.counts.embeddings += 1;
    return texts.map((text) => this.#vector(text));
  }

  #vector(text: string): number[] {
    const vector = Array.from({ length: this.dimensions }, () => 0);
    for (const word of text.toLowerCase().match(/\w+/g) ?? []) {
      const slot = createHash("sha256").update(`${this.model} ${word}`).digest().readUInt32BE() % this.dimensions;
      vector[slot] = (vector[slot] ?? 0) + 1;
    }
    return vector;
  }
}
