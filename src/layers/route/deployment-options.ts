import { OptionError } from "../../core/errors.ts";
import { resolveWith, type OptionReader } from "../../core/options.ts";
import { resolvePrice } from "../../core/price.ts";
import type { ResolvedDeployment } from "./deployment.ts";

/** What is known of a model that is to be a deployment. */
export interface KnownModel {
  readonly kind: string;
  readonly name: string | undefined;
  /** The object itself, if it was wrapped. */
  readonly target: object;
}

/** Knows models; `undefined` = it is none. */
export type ModelOf = (value: unknown) => KnownModel | undefined;

const KINDS: readonly string[] = ["chat", "llm", "embeddings"];

/** A deployment, and the kind of its model. */
export interface KnownDeployment {
  readonly options: ResolvedDeployment;
  readonly kind: string;
}

/** @throws OptionError */
export function resolveDeployments(read: OptionReader, modelOf: ModelOf): readonly KnownDeployment[] {
  const raw = read.raw("deployments");
  if (!Array.isArray(raw) || raw.length === 0) throw new OptionError(read.pathOf("deployments"), "an array of at least one deployment", raw);
  return raw.map((one: unknown, at) => resolveDeployment(`${read.pathOf("deployments")}[${at}]`, one, modelOf));
}

/** @throws OptionError */
export function resolveDeployment(path: string, raw: unknown, modelOf: ModelOf): KnownDeployment {
  return resolveWith(path, raw, (read) => {
    const id = read.string("id", undefined);
    if (id === undefined) throw new OptionError(read.pathOf("id"), "a name", id);
    const given = read.raw("model");
    const known = modelOf(given);
    if (!known || !KINDS.includes(known.kind)) throw new OptionError(read.pathOf("model"), "a chat model, an LLM or embeddings of LangChain", given);
    const options: ResolvedDeployment = {
      id,
      target: known.target,
      model: known.name,
      weight: read.number("weight", { default: 1, above: 0, max: 1e6 }),
      priority: read.number("priority", { default: 0, integer: true, min: 0, max: 1e6 }),
      contextWindow: read.number("contextWindow", { default: undefined, min: 1 }),
      price: read.raw("price") === undefined ? undefined : resolvePrice(read.pathOf("price"), read.raw("price")),
      metricsUrl: resolveUrl(read),
      tags: read.strings("tags") ?? [],
      limits: {
        requestsPerMinute: read.number("requestsPerMinute", { default: undefined, above: 0 }),
        tokensPerMinute: read.number("tokensPerMinute", { default: undefined, above: 0 }),
        maxConcurrent: read.number("maxConcurrent", { default: undefined, min: 1, integer: true }),
      },
    };
    return { options, kind: known.kind };
  });
}

function resolveUrl(read: OptionReader): string | undefined {
  const url = read.string("metricsUrl", undefined);
  if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) throw new OptionError(read.pathOf("metricsUrl"), "an http or https URL", url);
  return url;
}
