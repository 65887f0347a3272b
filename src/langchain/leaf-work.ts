import type { KindName } from "../core/facts.ts";
import type { Call } from "../core/layer.ts";
import type { Provenance } from "../core/provenance.ts";
import { inScope, leafScope, type LeafWork, type Scope } from "./scope.ts";

const NONE: readonly string[] = [];

type LeafCall = Pick<Call, "facts" | "key" | "signal"> & Partial<Pick<Call, "attempt">> & { readonly kind: { readonly name: KindName } };

/** A call that nobody may join needs no key: it is not even asked for. */
function sharedBy(call: LeafCall): { key: string; signal: AbortSignal | undefined } | undefined {
  return call.facts.coalesced && call.key !== undefined ? { key: call.key, signal: call.signal } : undefined;
}

function leafWork(call: LeafCall, within?: Provenance): LeafWork {
  return { kind: call.kind.name, shared: sharedBy(call), within, attempt: call.attempt };
}

/** Keys of the calls that wait for what runs in this scope. */
export function heldIn(scope: Scope): readonly string[] {
  return scope.leaf?.held ?? NONE;
}

/** Runs real work marked as a leaf, below the run's span. */
export function inLeaf<T>(scope: Scope, call: LeafCall, work: () => T, within?: Provenance): T {
  return inScope(leafScope(scope, leafWork(call, within)), belowRun(scope, call.facts.runId, work));
}

/** An async generator runs its body in the context of whoever asks for the next part: here always in the leaf's. */
export function leafIterator<Part>(scope: Scope, call: LeafCall, open: () => AsyncIterator<Part>): AsyncIterator<Part> {
  const inside = leafScope(scope, leafWork(call));
  const { runId } = call.facts;
  const parts = iteratorOf(inScope(inside, belowRun(scope, runId, open)));
  const next = belowRun(scope, runId, () => parts.next());
  return {
    next: () => inScope(inside, next),
    return: (value) => (parts.return ? inScope(inside, belowRun(scope, runId, () => (parts.return as NonNullable<typeof parts.return>)(value))) : Promise.resolve({ done: true, value })),
  };
}

/** LangChain reads a leaf's stream by `for await`: whatever that takes, a model may give. */
function iteratorOf<Part>(parts: AsyncIterator<Part> | AsyncIterable<Part> | Iterable<Part>): AsyncIterator<Part> {
  if (Symbol.asyncIterator in parts) return parts[Symbol.asyncIterator]();
  if (!(Symbol.iterator in parts)) return parts;
  const each = parts[Symbol.iterator]();
  return { next: async () => each.next() };
}

function belowRun<T>(scope: Scope, runId: string | undefined, work: () => T): () => T {
  return runId === undefined ? work : () => scope.perf.within(runId, work);
}
