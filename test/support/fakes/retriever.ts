import type { DocumentInterface } from "@langchain/core/documents";
import { BaseRetriever, type BaseRetrieverInput } from "@langchain/core/retrievers";
import { type CallCounts, noCalls } from "./counts.ts";

export interface FakeRetrieverFields extends BaseRetrieverInput {
  documents: DocumentInterface[];
  /** Where each call is counted. @default counts of its own */
  counts?: CallCounts;
  /** How many documents an answer has. @default 2 */
  k?: number;
}

/** Ranks its documents by the words they share with the question; needs no embeddings. */
export class FakeRetriever extends BaseRetriever {
  static override lc_name(): string {
    return "FakeRetriever";
  }

  override lc_namespace = ["tests", "retrievers"];
  readonly documents: DocumentInterface[];
  readonly counts: CallCounts;
  readonly k: number;

  constructor(fields: FakeRetrieverFields) {
    super(fields);
    this.documents = fields.documents;
    this.counts = fields.counts ?? noCalls();
    this.k = fields.k ?? 2;
  }

  override async _getRelevantDocuments(query: string): Promise<DocumentInterface[]> {
    this.counts.retriever += 1;
    const words = wordsOf(query);
    const shared = ({ pageContent }: DocumentInterface): number => [...wordsOf(pageContent)].filter((word) => words.has(word)).length;
    return this.documents.toSorted((a, b) => shared(b) - shared(a)).slice(0, this.k);
  }
}

function wordsOf(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/\w+/g));
}
