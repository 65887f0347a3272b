import { isDeepStrictEqual } from "node:util";
import { OpenAIEmbeddings } from "@langchain/openai";
import { withPerf, type PerfOptions } from "langchain-perf";
import { createSimulator, type Simulator } from "langchain-perf/testing";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type Side } from "../harness/paired.ts";
import { shown } from "../harness/report.ts";

const CALLERS = 1_000;
const MAX_BATCH_SIZE = 512;
const DIMENSIONS = 64;
const SETTINGS: Readonly<Record<string, PerfOptions>> = {
  "batch alone": { batch: true },
  "with cache and coalescing": { cache: true, coalesce: true, batch: true },
};

export const measure: Measure = async () => {
  await using provider = await createSimulator();
  const queries = Array.from({ length: CALLERS }, (_, at) => `Question ${at} about a lost card.`);
  const bare = await ask(provider, queries);
  const notes: string[] = [`without batch ${bare.requests} in ${shown(bare.tookMs)} ms`];
  let requests = 0;
  let differing = 0;
  for (const [name, options] of Object.entries(SETTINGS)) {
    const batched = await ask(provider, queries, options);
    requests = Math.max(requests, batched.requests);
    differing += batched.vectors.filter((vector, at) => !isDeepStrictEqual(vector, bare.vectors[at])).length;
    notes.push(`${name} ${batched.requests} in ${shown(batched.tookMs)} ms`);
  }
  const alone = await paired({ bare: sequential(), wrapped: sequential({ batch: true }), calls: 200, rounds: 61, warmUpRounds: 20 });
  return {
    embed_requests: { value: requests, note: `${CALLERS} callers, maxBatchSize ${MAX_BATCH_SIZE}: ${notes.join("; ")}` },
    embed_vectors_differing: { value: differing, note: `of ${CALLERS} in each of ${Object.keys(SETTINGS).length} settings` },
    embed_alone_us: measured(alone.addedUs, times(alone, "a perf with coalescing alone", "with batch")),
  };
};

async function ask(provider: Simulator, queries: readonly string[], options?: PerfOptions): Promise<{ vectors: number[][]; requests: number; tookMs: number }> {
  const bare = new OpenAIEmbeddings({ model: "text-embedding-3-small", dimensions: DIMENSIONS, batchSize: MAX_BATCH_SIZE, apiKey: "any", configuration: { baseURL: provider.baseURL } });
  const embeddings = options ? withPerf(bare, options) : bare;
  const before = provider.count();
  const started = performance.now();
  const vectors = await Promise.all(queries.map((query) => embeddings.embedQuery(query)));
  return { vectors, requests: provider.count() - before, tookMs: performance.now() - started };
}

/** One caller whose next question waits for the last answer; the provider answers at the end of the event loop's turn, as a socket would. */
function sequential(options: PerfOptions = {}): Side {
  const bare = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "any" });
  Reflect.set(bare, "embeddingWithRetry", async () => {
    await new Promise(setImmediate);
    return { data: [{ embedding: [1, 2, 3] }] };
  });
  const embeddings = withPerf(bare, { coalesce: true, ...options });
  let asked = 0;
  return {
    async run(calls) {
      for (let call = 0; call < calls; call += 1) await embeddings.embedQuery(`question ${(asked += 1)}`);
    },
  };
}
