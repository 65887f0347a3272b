import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import type { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { RunConfig, Scope } from "./scope.ts";

/** A callback handler that takes its scope along where the async context is lost, e.g. through a queue that others started. */
export interface ScopeCarrier {
  readonly carriedScope: Scope | undefined;
  /** The same handler for a part of its program that runs in another scope. */
  carrying(scope: Scope): BaseCallbackHandler & ScopeCarrier;
}

interface CallbackManagerLike {
  handlers: unknown[];
  copy(): CallbackManagerLike;
  addHandler(handler: unknown, inherit?: boolean): void;
  removeHandler(handler: unknown): void;
}

/** A config without callbacks has those of the run around it, where LangChain knows of one. */
export function inheriting(config: RunConfig | undefined): RunConfig | undefined {
  return config?.callbacks === undefined ? (AsyncLocalStorageProviderSingleton.getRunnableConfig() as RunConfig | undefined) : config;
}

export function handlersOf(callbacks: unknown): readonly unknown[] {
  if (!callbacks) return [];
  return Array.isArray(callbacks) ? callbacks : ((callbacks as CallbackManagerLike).handlers ?? []);
}

/** The scope that the config's callbacks carry, the innermost last added. */
export function carriedScope(config: RunConfig | undefined): Scope | undefined {
  const callbacks = config?.callbacks;
  if (callbacks === undefined) return undefined;
  return handlersOf(callbacks).findLast(isCarrier)?.carriedScope;
}

function isCarrier(handler: unknown): handler is ScopeCarrier {
  return (handler as Partial<ScopeCarrier>).carriedScope !== undefined;
}

/** The config with its carrier, if it has one, carrying another scope. */
export function recarried<C extends RunConfig>(config: C, scope: Scope): C {
  const carrier = handlersOf(config.callbacks).findLast(isCarrier);
  return carrier ? withHandler(config, carrier.carrying(scope), (handler) => handler === carrier) : config;
}

/**
 * The config with one more handler, and without those that `replaced` names. A config without callbacks inherits those of the
 * run around it, as LangChain does it.
 */
export function withHandler<C extends RunConfig>(config: C | undefined, handler: BaseCallbackHandler, replaced: (handler: unknown) => boolean): C {
  return { ...config, callbacks: addTo(inheriting(config)?.callbacks, handler, replaced) } as C;
}

function addTo(callbacks: unknown, handler: BaseCallbackHandler, replaced: (handler: unknown) => boolean): unknown {
  if (!callbacks) return [handler];
  if (Array.isArray(callbacks)) return [...callbacks.filter((present) => !replaced(present)), handler];
  const manager = (callbacks as CallbackManagerLike).copy();
  for (const present of manager.handlers.filter(replaced)) manager.removeHandler(present);
  manager.addHandler(handler, true);
  return manager;
}

/**
 * LangGraph's `streamMode: "messages"` listens in the background. With answers as fast as hits it falls behind, and loses what
 * it hears after its graph has ended: inside a scope it is waited for.
 */
export function awaitMessageStream(config: RunConfig | undefined): void {
  for (const handler of handlersOf(inheriting(config)?.callbacks) as { name?: string; awaitHandlers?: boolean }[]) {
    if (handler.name === "StreamMessagesHandler") handler.awaitHandlers = true;
  }
}

/** The run around code that got no config, as LangChain itself knows it. */
export function surroundingRunId(): string | undefined {
  const { callbacks } = (AsyncLocalStorageProviderSingleton.getRunnableConfig() ?? {}) as { callbacks?: { getParentRunId?(): string | undefined } };
  return callbacks?.getParentRunId?.();
}

/** The config without our own wishes in it: LangChain must not see, spread or cache by them. */
export function withoutWishes<C extends RunConfig | undefined>(config: C): C {
  if (config?.configurable?.perf === undefined) return config;
  const { perf: _perf, ...configurable } = config.configurable;
  return { ...config, configurable };
}
