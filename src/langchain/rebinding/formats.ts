import type { ModelLike } from "../models.ts";
import { prototypesOf } from "../prototypes.ts";

/** In whose shape a chat model takes tools, response formats and the like. */
export type FormatName = "OpenAI" | "Anthropic" | "Google";

/** How a chat model is to be spoken to. */
export interface Dialect {
  /** `undefined` = nothing is known of it. */
  readonly format: FormatName | undefined;
  /** Who runs the tools that are the provider's own; several providers take OpenAI's format. */
  readonly provider: string;
}

/** LangChain's classes that take OpenAI's format and run other tools of their own, if any, than OpenAI does. */
const COMPATIBLE = [
  "ChatGroq", "ChatDeepSeek", "ChatXAI", "ChatMistralAI", "ChatTogetherAI", "ChatFireworks", "ChatOpenRouter", "ChatCerebras", "ChatDeepInfra", "ChatPerplexity",
] as const;

const openai: Dialect = { format: "OpenAI", provider: "OpenAI" };
const anthropic: Dialect = { format: "Anthropic", provider: "Anthropic" };
const google: Dialect = { format: "Google", provider: "Google" };

const BY_CLASS = new Map<string, Dialect>([
  ...["ChatOpenAI", "ChatOpenAICompletions", "ChatOpenAIResponses", "AzureChatOpenAI", "AzureChatOpenAICompletions", "AzureChatOpenAIResponses"].map((name) => [name, openai] as const),
  ...COMPATIBLE.map((name) => [name, { format: "OpenAI", provider: name }] as const),
  ...["ChatAnthropic", "ChatAnthropicMessages"].map((name) => [name, anthropic] as const),
  ...["ChatGoogleGenerativeAI", "ChatVertexAI", "ChatGoogle", "ChatGoogleBase", "BaseChatGoogle"].map((name) => [name, google] as const),
]);

/** For classes whose names a bundler has shortened. */
const BY_TYPE = new Map<string, Dialect>([
  ["openai", openai], ["azure_openai", openai], ["anthropic", anthropic], ["google", google], ["googlegenerativeai", google],
]);

/** Looked up at every call. */
const known = new WeakMap<object, Dialect>();

/** The dialect of the nearest class that is known, else of the type that the model says it is. */
export function dialectOf(model: ModelLike): Dialect {
  let dialect = known.get(model);
  if (!dialect) known.set(model, (dialect = findDialect(model)));
  return dialect;
}

function findDialect(model: ModelLike): Dialect {
  for (const prototype of prototypesOf(model)) {
    const found = BY_CLASS.get(prototype.constructor.name);
    if (found) return found;
  }
  return BY_TYPE.get(model._llmType()) ?? { format: undefined, provider: model.constructor.name };
}

/** Whose format the messages have that came of such a provider, by the name that LangChain's classes write into them. */
export function formatOfProvider(name: unknown): FormatName | undefined {
  if (typeof name !== "string") return undefined;
  if (name.startsWith("anthropic")) return "Anthropic";
  if (name.startsWith("google")) return "Google";
  return /^(?:azure|openai|groq|deepseek|xai|mistral|together|fireworks|openrouter)/.test(name) ? "OpenAI" : undefined;
}
