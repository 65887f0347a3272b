import { warnOnce } from "../../core/callback.ts";
import { OptionError } from "../../core/errors.ts";
import { resolveWith, type OptionReader } from "../../core/options.ts";
import type { CircuitOptions } from "./circuit.ts";
import type { ResolvedDeployment } from "./deployment.ts";
import { resolveDeployments, type KnownDeployment, type ModelOf } from "./deployment-options.ts";
import type { HedgeOptions } from "./hedging.ts";
import type { RoutingStrategy } from "./own-strategy.ts";
import type { PoolRules } from "./pool.ts";
import type { RoutingOptions } from "./routing-options.ts";
import { STRATEGY_NAMES, type StrategyName } from "./strategies/all.ts";

/** One pool, as the options have it. */
export interface ResolvedRouting {
  readonly kind: string;
  readonly takes: (model: { name: string; kind: string }) => boolean;
  readonly strategy: StrategyName | RoutingStrategy;
  readonly latencyBoundMs: number | undefined;
  readonly deployments: readonly ResolvedDeployment[];
  readonly rules: Omit<PoolRules, "retry" | "patience" | "totalMs">;
  readonly shared: unknown;
}

const CIRCUIT: CircuitOptions = { failureRate: 0.5, minCalls: 5, windowMs: 10_000, openMs: 5_000, halfOpenProbes: 1 };

/** @throws OptionError */
export function resolveRouting(raw: unknown, modelOf: ModelOf): ResolvedRouting[] {
  if (raw === undefined || raw === false) return [];
  const several = Array.isArray(raw);
  const pools = (several ? raw : [raw]).map((options: unknown, at) => resolvePool(several ? `routing[${at}]` : "routing", options, modelOf));
  const seen = new Set<string>();
  for (const { id } of pools.flatMap(({ deployments }) => deployments)) {
    if (seen.has(id)) throw new OptionError("routing", "an id of its own for each deployment", id);
    seen.add(id);
  }
  return pools;
}

function resolvePool(path: string, raw: unknown, modelOf: ModelOf): ResolvedRouting {
  return resolveWith(path, raw, (read) => {
    const deployments = resolveDeployments(read, modelOf);
    const kind = kindOfAll(read, deployments);
    const ids = deployments.map(({ options }) => options.id);
    return {
      kind,
      takes: takesBy(read.function<NonNullable<RoutingOptions["when"]>>("when"), kind),
      strategy: resolveStrategy(read),
      latencyBoundMs: read.number("latencyBoundMs", { default: undefined, above: 0 }),
      deployments: deployments.map(({ options }) => options),
      rules: {
        circuit: read.raw("circuit") === false ? undefined : (read.group("circuit", resolveCircuit) ?? CIRCUIT),
        hedge: read.layer("hedge", resolveHedge),
        cascade: resolveCascade(read, ids),
        onInterrupt: read.oneOf("onInterrupt", ["error", "hold"], "error"),
        ...resolveFallback(read, ids),
      },
      shared: read.raw("shared"),
    };
  });
}

function kindOfAll(read: OptionReader, deployments: readonly KnownDeployment[]): string {
  const [first] = deployments;
  const other = deployments.find(({ kind }) => kind !== first?.kind);
  if (other) throw new OptionError(read.pathOf("deployments"), `models of one kind (${first?.kind})`, other.kind);
  return first?.kind ?? "";
}

/** Whether a pool takes the calls of a model: those of its own kind, and of these the ones that the user's word is for. */
function takesBy(when: RoutingOptions["when"], kind: string): ResolvedRouting["takes"] {
  const warn = warnOnce();
  return (model) => {
    if (model.kind !== kind) return false;
    try {
      return when === undefined || when(model as Parameters<typeof when>[0]) === true;
    } catch (error) {
      warn("routing.when failed, and the model's calls are not routed", error);
      return false;
    }
  };
}

function resolveStrategy(read: OptionReader): StrategyName | RoutingStrategy {
  const raw = read.raw("strategy") ?? "least-busy";
  if (typeof raw === "function") return raw as RoutingStrategy;
  if (STRATEGY_NAMES.includes(raw as StrategyName)) return raw as StrategyName;
  throw new OptionError(read.pathOf("strategy"), `a function, or one of ${STRATEGY_NAMES.map((name) => `"${name}"`).join(", ")}`, raw);
}

function resolveCircuit(read: OptionReader): CircuitOptions {
  return {
    failureRate: read.number("failureRate", { default: CIRCUIT.failureRate, above: 0, max: 1 }),
    minCalls: read.number("minCalls", { default: CIRCUIT.minCalls, min: 1, integer: true }),
    windowMs: read.number("windowMs", { default: CIRCUIT.windowMs, min: 1 }),
    openMs: read.number("openMs", { default: CIRCUIT.openMs, min: 1 }),
    halfOpenProbes: read.number("halfOpenProbes", { default: CIRCUIT.halfOpenProbes, min: 1, integer: true }),
  };
}

function resolveHedge(read: OptionReader): HedgeOptions {
  const afterMs = read.number("afterMs", { default: undefined, min: 0 });
  return {
    ...(afterMs === undefined ? {} : { afterMs }),
    percentile: read.number("percentile", { default: 0.95, above: 0, max: 1 }),
    budget: read.number("budget", { default: 0.05, above: 0, max: 1 }),
  };
}

function resolveFallback(read: OptionReader, ids: readonly string[]): Pick<PoolRules, "contextWindow" | "contentFilter"> {
  const nothing = { contextWindow: undefined, contentFilter: [] };
  return read.group("fallback", (fallback) => ({
    contextWindow: resolveIds(fallback, "contextWindow", ids),
    contentFilter: fallback.raw("contentFilter") === false ? [] : (resolveIds(fallback, "contentFilter", ids) ?? []),
  })) ?? nothing;
}

function resolveIds(read: OptionReader, name: string, ids: readonly string[]): readonly string[] | undefined {
  const named = read.strings(name);
  for (const id of named ?? []) requireId(read.pathOf(name), id, ids);
  return named;
}

function resolveCascade(read: OptionReader, ids: readonly string[]): PoolRules["cascade"] {
  return read.group("cascade", (cascade) => {
    const first = cascade.string("first", undefined);
    requireId(cascade.pathOf("first"), first, ids);
    const accept = cascade.function<NonNullable<RoutingOptions["cascade"]>["accept"]>("accept");
    if (!accept) throw new OptionError(cascade.pathOf("accept"), "a function that says whether an answer is good enough", accept);
    return { first: first as string, accept: cautious(accept) };
  });
}

/** An answer of which nobody can say that it is good enough is not: the larger deployment is asked. */
function cautious(accept: NonNullable<RoutingOptions["cascade"]>["accept"]): NonNullable<PoolRules["cascade"]>["accept"] {
  const warn = warnOnce();
  return async (answer, input) => {
    try {
      return (await accept(answer, input)) === true;
    } catch (error) {
      warn("cascade.accept failed, and the answer counts as not accepted", error);
      return false;
    }
  };
}

function requireId(path: string, id: string | undefined, ids: readonly string[]): void {
  if (id === undefined || !ids.includes(id)) throw new OptionError(path, `the id of a deployment (${ids.join(", ")})`, id);
}
