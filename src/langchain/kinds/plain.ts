import type { Document } from "@langchain/core/documents";
import { canonical, instanceId, writeIdentity, type IdentityFields } from "../../core/key.ts";
import { opaque, type Joining, type Kind, type OwnIdentity, type PartCodec, type RequestEstimate, type Routing } from "../../core/layer.ts";
import type { Provenance } from "../../core/provenance.ts";
import { className, endpointText, fieldsText, opaqueIdentity } from "../identity.ts";
import { deepCopy, estimateBytes, isCopiable } from "../messages.ts";
import { modelName, named, targetOf } from "../models.ts";
import { plainCodec, vectorCodec } from "./codecs.ts";
import { embeddingsJoining, type EmbeddingsInput } from "./embeddings-joining.ts";
import { embeddingsEstimate } from "./estimates.ts";
import { embeddingsRouting } from "./routing.ts";

interface PlainKind<In, Part> extends Pick<Kind<In, Part>, "name" | "question" | "target"> {
  who(input: In, id: OwnIdentity["id"]): IdentityFields;
  readonly codec?: PartCodec<Part>;
  readonly joining?: Joining<In, Part>;
  readonly routing?: Routing<In, Part, Part>;
  estimate?(input: In): RequestEstimate;
  /** What is known of the answers of which an answer is made. */
  provenance?(input: In): Provenance | undefined;
  /** The answer is whatever the user's code gives. */
  readonly anything?: boolean;
}

/** Kinds whose answer is one plain value, however it is asked for. */
function plainKind<In, Part>({ name, who, question, target, codec = plainCodec as PartCodec<Part>, joining, routing, estimate, provenance, anything = false }: PlainKind<In, Part>): Kind<In, Part> {
  const copy = (part: Part): Part => deepCopy(part);
  return opaque<In, Part, Part>({
    name,
    identity(input, own) {
      const { asked } = question(input);
      return asked === undefined ? undefined : writeIdentity([...who(input, own.id), ["question", own.key ?? canonical(asked)]]);
    },
    question,
    target,
    ...(joining ? { joining } : {}),
    ...(routing ? { routing } : {}),
    ...(estimate ? { estimate } : {}),
    whole: ({ parts: [whole] }) => copy(whole as Part),
    codec,
    convert: (answer) => answer.parts,
    packer: () => (anything ? (part) => (isCopiable(part) ? copy(part) : part) : copy),
    reissuer: () => copy,
    // What is no plain data may change, or be read but once: a tool's generator of events, a function's `Response`.
    completeness: ({ parts: [whole] }, input) => (provenance?.(input)?.isDoubtful || (anything && !isCopiable(whole)) ? "partial" : "complete"),
    ...(anything ? { copiable: isCopiable } : {}),
    sizeOf: (answer) => estimateBytes(answer.parts),
    usage: () => undefined,
    hasContent: () => true,
  });
}

export const embeddingsKind = plainKind<EmbeddingsInput, number[] | number[][]>({
  name: "embeddings",
  who: ({ embeddings, method }, id) => [["embeddings", embeddingsText(embeddings, id)], ["endpoint", endpointText(embeddings)], ["method", method]],
  question: ({ embeddings, text }) => ({ asked: text, config: {}, ...named(modelName(embeddings)) }),
  target: ({ embeddings }) => targetOf(embeddings),
  codec: vectorCodec,
  joining: embeddingsJoining,
  routing: embeddingsRouting,
  estimate: ({ embeddings, text }) => embeddingsEstimate(embeddings, text),
});

/**
 * Embeddings show no parameters of their own accord. One that names its model counts by its class and all its fields but the
 * connection, hashed, since some of them are secrets; any other is known by its instance alone, or the id that the user gave.
 */
function embeddingsText(embeddings: object, id: OwnIdentity["id"]): string {
  if (modelName(embeddings) === undefined) return `${className(embeddings)} ${opaqueIdentity(embeddings, id)}`;
  return `${className(embeddings)} ${fieldsText(embeddings, id)}`;
}

export interface RetrieverInput {
  readonly retriever: object;
  readonly query: string;
}

export const retrieverKind = plainKind<RetrieverInput, Document[]>({
  name: "retriever",
  who: ({ retriever }, id) => [["retriever", `${className(retriever)} ${opaqueIdentity(retriever, id)}`]],
  question: ({ retriever, query }) => ({ asked: query, config: {}, name: className(retriever) }),
  target: ({ retriever }) => `${className(retriever)} ${instanceId(retriever)}`,
});

export interface ToolInput {
  readonly tool: object & { name?: string };
  readonly args: unknown;
  readonly config: object;
}

export const toolKind = plainKind<ToolInput, unknown>({
  name: "tool",
  who: ({ tool }, id) => [["tool", `${toolName(tool)} ${opaqueIdentity(tool, id)}`]],
  question: ({ tool, args, config }) => ({ asked: args, config, name: toolName(tool) }),
  target: ({ tool }) => `${toolName(tool)} ${instanceId(tool)}`,
  anything: true,
});

/** One call of a function that `perf.cached` made. */
export interface FunctionInput {
  /** Stands for the function in the key, in every process. */
  readonly name: string;
  /** What the answer depends on: the arguments, or what the user's `key` made of them. `undefined` = nothing is shared. */
  readonly asked: unknown;
  /** What is known of the answers of which the result is made. */
  readonly provenance: Provenance;
}

export const functionKind = plainKind<FunctionInput, unknown>({
  name: "function",
  who: ({ name }) => [["function", name]],
  question: ({ name, asked }) => ({ asked, config: {}, name }),
  target: ({ name }) => name,
  provenance: ({ provenance }) => provenance,
  anything: true,
});

function toolName(tool: ToolInput["tool"]): string {
  return tool.name ?? className(tool);
}
