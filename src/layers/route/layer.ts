import { OptionError } from "../../core/errors.ts";
import type { Call, Layer, Next } from "../../core/layer.ts";
import { fromNext, once } from "../../core/parts.ts";
import type { Pool } from "./pool.ts";
import { RoutedRequest } from "./routed.ts";
import type { RouteTools } from "./tools.ts";

/** Gets each request of a model or of embeddings the whole answer that any of its deployments can give: the one owner of retries. */
export class Route implements Layer {
  readonly name = "route";
  readonly #pools: readonly Pool[];
  readonly #tools: RouteTools;
  /** The pool of each kind and model that was asked. */
  readonly #known = new Map<string, Pool | undefined>();

  /** @param pools the first that takes a model has its calls */
  constructor(pools: readonly Pool[], tools: RouteTools) {
    this.#pools = pools;
    this.#tools = tools;
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const pool = call.kind.estimate && this.#poolFor(call);
    if (!pool) return next(call);
    const request = new RoutedRequest(call, next, pool, this.#tools);
    return call.mode === "invoke" ? once(() => request.answer()) : fromNext(() => request.next(), () => request.leave());
  }

  #poolFor({ kind, facts: { model = "" }, control: { deployment } }: Call): Pool | undefined {
    if (deployment !== undefined && !this.#pools.some((pool) => pool.find(deployment))) {
      const ids = this.#pools.filter(({ isNamed }) => isNamed).flatMap(({ deployments }) => deployments.map(({ id }) => `"${id}"`));
      throw new OptionError("configurable.perf.deployment", ids.length > 0 ? `one of ${ids.join(", ")}` : "none, because `routing` names no deployments", deployment);
    }
    const key = `${kind.name} ${model}`;
    if (this.#known.has(key)) return this.#known.get(key);
    const pool = this.#pools.find(({ options }) => options.takes({ name: model, kind: kind.name }));
    if (this.#known.size >= MAX_MODELS) this.#known.clear();
    this.#known.set(key, pool);
    return pool;
  }
}

const MAX_MODELS = 1_000;
