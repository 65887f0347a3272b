import type { Joining } from "../../core/layer.ts";
import { ownerOf } from "../prototypes.ts";

/** One text. Queries and documents are kept apart: some providers embed the same text differently. */
export interface EmbeddingsInput {
  readonly embeddings: object;
  readonly method: "embedQuery" | "embedDocuments";
  /** Several are a call of several items, each with a key of its own. */
  readonly text: string | readonly string[];
}

type Vectors = number[] | number[][];

/**
 * Several texts go to a provider by `embedDocuments` alone: queries can share a request only where both methods embed alike, and then
 * they do so with documents, too.
 */
export const embeddingsJoining: Joining<EmbeddingsInput, Vectors> = {
  lane({ embeddings, method, text }, symmetric) {
    const isQuery = method === "embedQuery";
    // What is no text the class refuses in its own way, and so it does alone.
    if (isQuery ? typeof text !== "string" : !isTexts(text)) return undefined;
    const isAlike = symmetric ?? embedsAlike(embeddings);
    return isQuery && !isAlike ? undefined : [embeddings, isAlike ? "texts" : "documents"];
  },
  maxBatchSize({ embeddings }) {
    const { batchSize, maxBatchSize } = embeddings as { batchSize?: unknown; maxBatchSize?: unknown };
    return [batchSize, maxBatchSize].find((size) => typeof size === "number" && size >= 1) as number | undefined;
  },
  texts: ({ text }) => (typeof text === "string" ? [text] : text),
  join: ({ embeddings }, texts) => ({ embeddings, method: "embedDocuments", text: texts }),
  // Some classes swallow a refusal, and then give empty vectors or none.
  split: (vectors, count) => (Array.isArray(vectors) && vectors.length === count && (vectors as number[][]).every((vector) => vector?.length > 0) ? vectors : undefined),
  part: ({ method }, vectors) => (method === "embedQuery" ? vectors[0] : vectors) as Vectors,
};

function isTexts(text: unknown): boolean {
  return Array.isArray(text) && text.length > 0 && text.every((one) => typeof one === "string");
}

/**
 * LangChain's classes that send the same request for a query as for a document, and report its refusal with its status. (Not
 * `GoogleGenerativeAIEmbeddings`: its `embedDocuments` gives empty vectors where `embedQuery` throws.)
 */
const ALIKE: ReadonlySet<string> = new Set(["OpenAIEmbeddings", "MistralAIEmbeddings", "OllamaEmbeddings", "FireworksEmbeddings"]);

/** Whether both methods are those of such a class: a subclass's own, or a spy's, may do anything. */
function embedsAlike(embeddings: object): boolean {
  const owner = ownerOf(embeddings, "embedQuery");
  return owner !== undefined && owner !== embeddings && owner === ownerOf(embeddings, "embedDocuments") && ALIKE.has(owner.constructor.name);
}
