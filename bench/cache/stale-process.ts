import { createPerf } from "langchain-perf";

/** What the parent asks of a process. */
export type Order = { readonly id: number } & (
  /** The answers to these, each with what would be true now. */
  | { readonly ask: readonly (readonly [name: string, version: number])[] }
  | { readonly invalidate: readonly string[] }
);

export interface Report {
  readonly id: number;
  readonly answers: readonly number[];
}

/** A process with memory and Redis: each answer is the version that was true when it was made. */
async function serve(url: string): Promise<void> {
  const perf = createPerf({ cache: { redis: url }, coalesce: true });
  const lookUp = perf.cached("look up", async (_name: string, version: number) => version, { key: (name: string) => name, tags: (_version: number, name: string) => [name] });
  const carryOut = async (order: Order): Promise<readonly number[]> => {
    if ("ask" in order) return Promise.all(order.ask.map(([name, version]) => lookUp(name, version)));
    await perf.cache.invalidate({ tags: [...order.invalidate] });
    return [];
  };
  process.on("message", (order: Order) => void carryOut(order).then((answers) => process.send?.({ id: order.id, answers } satisfies Report)));
  process.once("disconnect", () => process.exit());
}

const [, , url] = process.argv;
if (import.meta.main && url !== undefined) await serve(url);
