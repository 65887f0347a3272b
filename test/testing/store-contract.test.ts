import { describe, expect, it } from "vitest";
import { storeContract } from "langchain-perf/testing";
import type { Store, StoredEntry, StoreStats } from "../../src/stores/store.ts";

interface Backend {
  readonly entries: Map<string, StoredEntry>;
  readonly notes: Map<string, string>;
  readonly hits: Map<string, number>;
}

const emptyBackend = (): Backend => ({ entries: new Map(), notes: new Map(), hits: new Map() });

const isLive = ({ expiresAt }: StoredEntry): boolean => expiresAt > Date.now();

const carries = ({ labels }: StoredEntry, groups: readonly (readonly string[])[]): boolean =>
  groups.every((group) => group.some((label) => labels.includes(label)));

/** A store that keeps every promise, over maps that several instances may share. */
function correctStore({ entries, notes, hits }: Backend): Store {
  const live = (): [string, StoredEntry][] => [...entries].filter(([, entry]) => isLive(entry));
  const remove = (keys: readonly string[]): number => keys.filter((key) => (hits.delete(key), entries.delete(key))).length;
  return {
    name: "correct",
    shared: true,
    get: async (key) => {
      const entry = entries.get(key);
      return entry && isLive(entry) ? entry.value.slice() : undefined;
    },
    set: async (key, entry) => void entries.set(key, { ...entry, value: entry.value.slice() }),
    delete: async (keys) => remove(keys),
    invalidate: async (groups) => remove(live().filter(([, entry]) => carries(entry, groups)).map(([key]) => key)),
    clear: async () => {
      entries.clear();
      hits.clear();
    },
    keys: async function* () {
      for (const [key, { value }] of live()) yield { key, sizeBytes: value.length };
    },
    touch: async (more) => {
      for (const [key, count] of more) hits.set(key, (hits.get(key) ?? 0) + count);
    },
    hottest: async (limit) => [...hits].sort((one, other) => other[1] - one[1]).slice(0, limit).map(([key]) => key),
    purge: async (limit) => remove([...entries].filter(([, entry]) => !isLive(entry)).slice(0, limit).map(([key]) => key)),
    stats: async () => ({ entries: entries.size, sizeBytes: entries.size * 10 }),
    note: { read: async (name) => notes.get(name), write: async (name, text) => void notes.set(name, text) },
    close: async () => {},
  };
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A mistake that a store could make: what it does instead, given the store as it should be. */
type Mistake = (store: Store, backend: Backend) => Partial<Store>;

const relabelled = (relabel: (labels: readonly string[]) => readonly string[]): Mistake => (store) => ({
  set: (key, entry) => store.set(key, { ...entry, labels: relabel(entry.labels) }),
});

const rekeyed = (rekey: (key: string) => string): Mistake => (store) => ({
  get: (key) => store.get(rekey(key)),
  set: (key, entry) => store.set(rekey(key), entry),
  delete: (keys) => store.delete(keys.map(rekey)),
});

/** An index of labels beside the entries that is only ever added to. */
const staleIndex: Mistake = (store, { entries }) => {
  const index = new Map<string, Set<string>>();
  return {
    set: (key, entry) => {
      for (const label of entry.labels) index.set(label, (index.get(label) ?? new Set()).add(key));
      return store.set(key, entry);
    },
    invalidate: async (groups) => {
      const sets = groups.map((group) => new Set(group.flatMap((label) => [...(index.get(label) ?? [])])));
      return [...(sets[0] ?? [])].filter((key) => sets.every((set) => set.has(key)) && entries.delete(key)).length;
    },
  };
};

/** Loses what is written while it has much to do. */
const busy: Mistake = (store) => {
  let pending = 0;
  return {
    set: async (key, entry) => {
      pending += 1;
      await tick();
      if (pending <= 150) await store.set(key, entry);
      pending -= 1;
    },
  };
};

const tornWrite: Mistake = (store, { entries }) => ({
  set: async (key, entry) => {
    await store.set(key, { ...entry, labels: entries.get(key)?.labels ?? entry.labels });
  },
});

const lateWrites: Mistake = (store) => ({
  set: async (key, entry) => {
    const held = { ...entry, value: entry.value.slice() };
    if (entry.value.length > 1_000) void tick().then(tick).then(() => store.set(key, held));
    else await store.set(key, held);
  },
});

const bluntInvalidation: Mistake = (store, { entries }) => ({
  set: async (key, entry) => {
    await tick();
    await store.set(key, entry);
  },
  invalidate: async (groups) => {
    const kept = [...entries].filter(([, entry]) => !carries(entry, groups));
    const before = entries.size;
    await tick();
    await tick();
    entries.clear();
    for (const [key, entry] of kept) entries.set(key, entry);
    return before - kept.length;
  },
});

const tombstones: Mistake = (store) => {
  const dead = new Set<string>();
  return {
    set: async (key, entry) => (entry.labels.some((label) => dead.has(label)) ? undefined : store.set(key, entry)),
    invalidate: async (groups) => {
      for (const label of groups.flat()) dead.add(label);
      return store.invalidate(groups);
    },
  };
};

/** Does not see what another instance removes. */
const ownCopies: Mistake = (store, { entries }) => {
  const seen = new Map<string, StoredEntry>();
  const forgetting = <Result>(operation: Promise<Result>): Promise<Result> => (seen.clear(), operation);
  return {
    get: async (key) => {
      const entry = entries.get(key) ?? seen.get(key);
      if (!entry || !isLive(entry)) return undefined;
      seen.set(key, entry);
      return entry.value.slice();
    },
    invalidate: (groups) => forgetting(store.invalidate(groups)),
    delete: (keys) => forgetting(store.delete(keys)),
    clear: () => forgetting(store.clear()),
  };
};

const MISTAKES: Record<string, Mistake> = {
  "gives empty bytes for a miss": (store) => ({ get: async (key) => (await store.get(key)) ?? new Uint8Array(0) }),
  "keeps values as text": (store) => ({ set: (key, entry) => store.set(key, { ...entry, value: Buffer.from(Buffer.from(entry.value).toString("utf8")) }) }),
  "refuses empty values": (store) => ({ set: async (key, entry) => (entry.value.length === 0 ? undefined : store.set(key, entry)) }),
  "keeps the whole buffer under a view": (store) => ({ set: (key, entry) => store.set(key, { ...entry, value: new Uint8Array(entry.value.buffer) }) }),
  "keeps the caller's buffer": (_, { entries }) => ({ set: async (key, entry) => void entries.set(key, entry) }),
  "gives its own buffer": (_, { entries }) => ({ get: async (key) => entries.get(key)?.value }),
  "keeps the first value": (store, { entries }) => ({ set: async (key, entry) => (entries.has(key) ? undefined : store.set(key, entry)) }),
  "folds the case of keys": rekeyed((key) => key.toLowerCase()),
  "cuts long keys": rekeyed((key) => key.slice(0, 250)),
  "normalises keys": rekeyed((key) => key.normalize()),
  "deletes nothing": () => ({ delete: async (keys) => keys.length }),
  "counts keys that were not there": (store) => ({ delete: async (keys) => (await store.delete(keys), keys.length) }),
  "deletes fifty keys at most": (store) => ({ delete: (keys) => store.delete(keys.slice(0, 50)) }),
  "never expires": (store) => ({ set: (key, entry) => store.set(key, { ...entry, expiresAt: Infinity }) }),
  "ignores what is expired already": (store) => ({ set: async (key, entry) => (isLive(entry) ? store.set(key, entry) : undefined) }),
  "keeps the first expiry": (store, { entries }) => ({ set: (key, entry) => store.set(key, { ...entry, expiresAt: entries.get(key)?.expiresAt ?? entry.expiresAt }) }),
  "expires early": (store) => ({ set: (key, entry) => store.set(key, { ...entry, expiresAt: entry.expiresAt - 1_000 }) }),
  "cannot tell months from dates": (store) => ({ set: (key, entry) => store.set(key, { ...entry, expiresAt: entry.expiresAt > Date.now() + 2_592_000_000 ? 0 : entry.expiresAt }) }),
  "purges live entries": (_, { entries }) => ({ purge: async (limit) => [...entries.keys()].slice(0, limit).filter((key) => entries.delete(key)).length }),
  "keeps the first label alone": relabelled((labels) => labels.slice(0, 1)),
  "keeps twenty labels": relabelled((labels) => labels.slice(0, 20)),
  "joins labels with commas": relabelled((labels) => [...labels, ...labels.join(",").split(",")]),
  "sees the first label of a group alone": (store) => ({ invalidate: (groups) => store.invalidate(groups.map((group) => group.slice(0, 1))) }),
  "takes any group for all": (store) => ({ invalidate: async (groups) => (await Promise.all(groups.map((group) => store.invalidate([group])))).reduce((sum, each) => sum + each, 0) }),
  "takes a group of no labels for no condition": (store) => ({ invalidate: (groups) => store.invalidate(groups.filter((group) => group.length > 0)) }),
  "remembers invalidated labels for ever": tombstones,
  "never takes a key out of its index": staleIndex,
  "drops writes when it is busy": busy,
  "writes labels apart from values": tornWrite,
  "writes large values later": lateWrites,
  "rewrites everything to invalidate": bluntInvalidation,
  "has no name": () => ({ name: "" }),
  "lists expired keys": (_, { entries }) => ({ keys: async function* () { for (const key of entries.keys()) yield { key }; } }),
  "lists a page of keys": (store) => ({ keys: async function* () { let count = 0; for await (const key of store.keys()) if (count++ < 100) yield key; } }),
  "does not clear": () => ({ clear: async () => {} }),
  "counts hits once": (_, { hits }) => ({ touch: async (more) => { for (const [key, count] of more) hits.set(key, count); } }),
  "guesses its size": (store) => ({ stats: async (): Promise<StoreStats> => ({ entries: ((await store.stats?.())?.entries ?? 0) + 1 }) }),
  "clears its notes": (store, { notes }) => ({ clear: async () => (notes.clear(), store.clear()) }),
  "keeps copies of its own": ownCopies,
  "closes once": () => {
    let closed = false;
    return { close: async () => { if (closed) throw new Error("closed already"); closed = true; } };
  },
};

const contractOf = (mistake: Mistake): ReturnType<typeof storeContract> => {
  let backend = emptyBackend();
  const open = (): Store => {
    const store = correctStore(backend);
    return { ...store, ...mistake(store, backend) };
  };
  return storeContract(() => ((backend = emptyBackend()), open()), { reopen: open });
};

describe("storeContract", () => {
  for (const { name, run } of contractOf(() => ({}))) it(`passes a correct store: ${name}`, run);

  it("finds each mistake, and each of its cases finds one", { timeout: 60_000 }, async () => {
    const failing = async (mistake: Mistake): Promise<string[]> => {
      const failed: string[] = [];
      // One after another: `reopen` means the store that was created last.
      for (const { name, run } of contractOf(mistake)) await run().catch(() => failed.push(name));
      return failed;
    };
    const found = await Promise.all(Object.entries(MISTAKES).map(async ([name, mistake]) => [name, await failing(mistake)] as const));
    expect(found.filter(([, failed]) => failed.length === 0).map(([name]) => name)).toEqual([]);
    const cases = contractOf(() => ({})).map(({ name }) => name);
    expect(new Map(found).get("keeps copies of its own")).toEqual(["shows every instance over one backend the same"]);
    const useful = new Set(found.flatMap(([, failed]) => failed));
    expect(cases.filter((name) => !useful.has(name))).toEqual([]);
  });

  it("excuses a store from what its options say", async () => {
    const humble: Mistake = (store) => ({
      delete: async (keys) => (await store.delete(keys), 0),
      invalidate: async (groups) => (await Promise.all(groups.map((group) => (groups.some((each) => each.length === 0) ? 0 : store.invalidate([group])))), 0),
      keys: async function* () {},
      purge: undefined, touch: undefined, hottest: undefined, stats: undefined, note: undefined,
    });
    let backend = emptyBackend();
    const create = (): Store => {
      const store = correctStore((backend = emptyBackend()));
      return { ...store, ...humble(store, backend) } as Store;
    };
    for (const { run } of storeContract(create, { lists: false, counts: false, exact: false, largestBytes: 1_000 })) await run();
  });
});
