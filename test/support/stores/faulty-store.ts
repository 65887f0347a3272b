import type { Store, StoredEntry, StoredKey } from "../../../src/stores/store.ts";

/** How a store behaves: `crashed` = everything throws, `frozen` = nothing answers until it is healed, `slow` = everything takes `SLOW_MS`. */
export type Health = "well" | "crashed" | "frozen" | "slow";

/** Longer than a read may take, and shorter than a write may. */
const SLOW_MS = 600;

/** A correct store in memory, shared by as many processes as open it, and made ill from outside. What was asked of a frozen one it does when it thaws, in order. */
export class FaultyStore {
  readonly entries = new Map<string, StoredEntry>();
  readonly #notes = new Map<string, string>();
  readonly #waiting: (() => void)[] = [];
  readonly #hits = new Map<string, number>();
  health: Health = "well";
  /** Operations under way. */
  busy = 0;

  heal(): void {
    this.health = "well";
    for (const thaw of this.#waiting.splice(0)) thaw();
  }

  /** As if somebody had deleted all entries behind our backs. */
  empty(): void {
    this.entries.clear();
    this.#hits.clear();
  }

  /** Keys that can still be read. */
  get liveKeys(): string[] {
    return [...this.entries].filter(([, { expiresAt }]) => expiresAt > Date.now()).map(([key]) => key);
  }

  /** One process's way to it. @param shared whether it says that other machines see the same entries */
  open(name: string, shared: boolean): Store {
    const { entries } = this;
    const live = (key: string): StoredEntry | undefined => {
      const entry = entries.get(key);
      return entry && entry.expiresAt > Date.now() ? entry : undefined;
    };
    const removeAll = (keys: readonly string[]): number => keys.filter((key) => entries.delete(key)).length;
    return {
      name,
      shared,
      get: (key) => this.#answer(() => live(key)?.value.slice()),
      set: (key, entry) => this.#answer(() => void entries.set(key, { ...entry, value: entry.value.slice() })),
      delete: (keys) => this.#answer(() => removeAll(keys)),
      invalidate: (groups) =>
        this.#answer(() => removeAll([...entries].filter(([, { labels }]) => groups.every((group) => group.some((label) => labels.includes(label)))).map(([key]) => key))),
      clear: () => this.#answer(() => entries.clear()),
      keys: () => this.#keys(),
      touch: (hits) => this.#answer(() => {
        for (const [key, count] of hits) this.#hits.set(key, (this.#hits.get(key) ?? 0) + count);
      }),
      hottest: (limit) => this.#answer(() => [...this.#hits].sort(([, a], [, b]) => b - a).map(([key]) => key).filter(live).slice(0, limit)),
      ...(shared ? {} : { note: { read: (note) => this.#answer(() => this.#notes.get(note)), write: (note, text) => this.#answer(() => void this.#notes.set(note, text)) } }),
      close: () => Promise.resolve(),
    };
  }

  async *#keys(): AsyncGenerator<StoredKey> {
    for (const key of await this.#answer(() => this.liveKeys)) yield { key };
  }

  async #answer<T>(work: () => T): Promise<T> {
    const { health } = this;
    this.busy += 1;
    try {
      return await this.#do(health, work);
    } finally {
      this.busy -= 1;
    }
  }

  async #do<T>(health: Health, work: () => T): Promise<T> {
    if (health === "crashed") throw new Error("crashed");
    if (health === "frozen") await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (health === "slow") await new Promise<void>((resolve) => setTimeout(resolve, SLOW_MS));
    return work();
  }
}
