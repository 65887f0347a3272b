import { createPerf, type CacheOptions, type Perf } from "langchain-perf";

/** What `filled` keeps: three answers about orders, one of them the tenant acme's, and one about users. */
export const FILLED = 4;

export interface Filled extends AsyncDisposable {
  readonly perf: Perf;
  /** How often the work behind the cache ran. */
  readonly runs: { count: number };
  order(id: number): Promise<{ id: number; text: string }>;
}

/** A running perf with a few entries in its tiers. */
export async function filled(cache: CacheOptions): Promise<Filled> {
  const perf = createPerf({ cache, coalesce: true });
  const runs = { count: 0 };
  const order = perf.cached("order", async (id: number) => ({ id, text: `order ${id}, run ${(runs.count += 1)}` }), { tags: ({ id }) => ["orders", `order-${id}`] });
  const users = perf.cached("users", async () => ({ total: 12n, rows: new Map([["ada", Float32Array.of(0.5, 1)]]) }), { tags: ["users"] });
  await order(1);
  await order(2);
  await perf.run(() => order(3), { tenant: "acme" });
  await users();
  await perf.flush();
  return { perf, runs, order, [Symbol.asyncDispose]: () => perf.close() };
}
