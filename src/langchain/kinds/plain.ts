import type { Document } from "@langchain/core/documents";
import { canonical, writeIdentity, type IdentityFields } from "../../core/key.ts";
import { opaque, type Kind } from "../../core/layer.ts";
import { className, endpointText, fieldsText, opaqueIdentity } from "../identity.ts";
import { deepCopy, estimateBytes } from "../messages.ts";
import { modelName, named } from "../models.ts";

/** Kinds whose answer is one plain value, however it is asked for. */
function plainKind<In, Part>(
  name: Kind["name"],
  who: (input: In, id: string | undefined) => IdentityFields,
  question: Kind<In, Part>["question"],
): Kind<In, Part> {
  const copy = (part: Part): Part => deepCopy(part);
  return opaque<In, Part, Part>({
    name,
    identity: (input, own) => writeIdentity([...who(input, own.id), ["question", own.key ?? canonical(question(input).asked)]]),
    question,
    convert: (answer) => answer.parts,
    packer: () => copy,
    reissuer: () => copy,
    // A tool may answer with a generator of events: only its reader can tell where it ends.
    completeness: ({ parts: [whole] }) => (typeof whole === "object" && whole !== null && Symbol.asyncIterator in whole ? "partial" : "complete"),
    sizeOf: (answer) => estimateBytes(answer.parts),
    usage: () => undefined,
    hasContent: () => true,
  });
}

/** Queries and documents are kept apart: some providers embed the same text differently. */
export interface EmbeddingsInput {
  readonly embeddings: object;
  readonly method: "embedQuery" | "embedDocuments";
  readonly text: string | readonly string[];
}

export const embeddingsKind = plainKind<EmbeddingsInput, number[] | number[][]>(
  "embeddings",
  ({ embeddings, method }, id) => [["embeddings", embeddingsText(embeddings, id)], ["endpoint", endpointText(embeddings)], ["method", method]],
  ({ embeddings, text }) => ({ asked: text, config: {}, ...named(modelName(embeddings)) }),
);

/**
 * Embeddings show no parameters of their own accord. One that names its model counts by its class and all its fields but the
 * connection, hashed, since some of them are secrets; any other is known by its instance alone.
 */
function embeddingsText(embeddings: object, id: string | undefined): string {
  if (id !== undefined || modelName(embeddings) === undefined) return `${className(embeddings)} ${opaqueIdentity(embeddings, id)}`;
  return `${className(embeddings)} ${fieldsText(embeddings)}`;
}

export interface RetrieverInput {
  readonly retriever: object;
  readonly query: string;
}

export const retrieverKind = plainKind<RetrieverInput, Document[]>(
  "retriever",
  ({ retriever }, id) => [["retriever", `${className(retriever)} ${opaqueIdentity(retriever, id)}`]],
  ({ retriever, query }) => ({ asked: query, config: {}, name: className(retriever) }),
);

export interface ToolInput {
  readonly tool: object & { name?: string };
  readonly args: unknown;
  readonly config: object;
}

export const toolKind = plainKind<ToolInput, unknown>(
  "tool",
  ({ tool }, id) => [["tool", `${toolName(tool)} ${opaqueIdentity(tool, id)}`]],
  ({ tool, args, config }) => ({ asked: args, config, name: toolName(tool) }),
);

function toolName(tool: ToolInput["tool"]): string {
  return tool.name ?? className(tool);
}
