import type { Invalidation } from "../../stores/bus.ts";
import { concerns } from "./invalidations.ts";

/** Values by key, found by their labels: an invalidation looks only at what carries one of its labels. In the order in which they were set. */
export class LabelIndex<Value extends { readonly labels: readonly string[] }> {
  readonly #values = new Map<string, Value>();
  readonly #keys = new Map<string, Set<string>>();

  get size(): number {
    return this.#values.size;
  }

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  /** Puts it last, also when the key was there. */
  set(key: string, value: Value): void {
    this.delete(key);
    this.#values.set(key, value);
    for (const label of value.labels) {
      const keys = this.#keys.get(label);
      if (keys) keys.add(key);
      else this.#keys.set(label, new Set([key]));
    }
  }

  /** @returns what was there */
  delete(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (!value) return undefined;
    this.#values.delete(key);
    for (const label of value.labels) {
      const keys = this.#keys.get(label);
      keys?.delete(key);
      if (keys?.size === 0) this.#keys.delete(label);
    }
    return value;
  }

  entries(): MapIterator<[key: string, value: Value]> {
    return this.#values.entries();
  }

  /** What an invalidation concerns. */
  concerned(invalidation: Invalidation): [key: string, value: Value][] {
    const found: [string, Value][] = [];
    for (const key of this.#candidates(invalidation)) {
      const value = this.#values.get(key);
      if (value && concerns(invalidation, key, value.labels)) found.push([key, value]);
    }
    return found;
  }

  clear(): void {
    this.#values.clear();
    this.#keys.clear();
  }

  /** Each once: what has a label of the group that fewest have, if there are groups. */
  #candidates(invalidation: Invalidation): Iterable<string> {
    if ("all" in invalidation) return this.#values.keys();
    if (invalidation.key !== undefined) return [invalidation.key];
    const sizeOf = (group: readonly string[]): number => group.reduce((sum, label) => sum + (this.#keys.get(label)?.size ?? 0), 0);
    const [first, ...others] = invalidation.groups;
    if (!first) return this.#values.keys();
    const narrowest = others.reduce((best, group) => (sizeOf(group) < sizeOf(best) ? group : best), first);
    return new Set(narrowest.flatMap((label) => [...(this.#keys.get(label) ?? [])]));
  }
}
