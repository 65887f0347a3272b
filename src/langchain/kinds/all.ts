import type { Kind } from "../../core/layer.ts";
import { chatKind } from "./chat.ts";
import { llmKind } from "./llm.ts";
import { embeddingsKind, functionKind, retrieverKind, toolKind } from "./plain.ts";

const KINDS = new Map([chatKind, llmKind, embeddingsKind, retrieverKind, toolKind, functionKind].map((kind) => [kind.name as string, kind as Kind]));

/** The kind with this name, for answers that come back from a store. */
export function kindNamed(name: string): Kind | undefined {
  return KINDS.get(name);
}
