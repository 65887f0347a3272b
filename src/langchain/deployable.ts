import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { BaseLLM } from "@langchain/core/language_models/llms";
import { modelName } from "./models.ts";
import { kindOf } from "./patches.ts";
import { unwrapped } from "./proxy.ts";

/** What may be a deployment. */
export type DeployableModel = BaseChatModel | BaseLLM | EmbeddingsInterface;

/** What a value is as a deployment; `undefined` = nothing that could be one. A wrapped model counts as itself. */
export function deployable(value: unknown): { kind: string; name: string | undefined; target: object } | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const target = unwrapped(value);
  const kind = kindOf(target);
  return kind === undefined ? undefined : { kind, name: modelName(target), target };
}
