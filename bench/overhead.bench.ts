import type { Bench } from "./harness/bench.ts";

export default {
  about: "overhead: what a wrapped call costs, and what a hit costs against LangChain's own cache",
  groups: [
    {
      module: "./overhead/scope.ts",
      figures: { scope_ratio: { about: "prompt | model | parser, wrapped with no layer / bare", unit: "×", atMost: 1.15 } },
    },
    {
      module: "./overhead/onion.ts",
      figures: { onion_ratio: { about: "prompt | model | parser, every call a miss through cache, coalescing and trace without an SDK / bare", unit: "×", atMost: 2 } },
    },
    {
      module: "./overhead/hit.ts",
      figures: {
        hit_vs_core_2k: { about: "model.invoke, prompt and answer of 2 KB: memory hit / hit of core's InMemoryCache", unit: "×", atMost: 0.55 },
        hit_vs_core_8k: { about: "the same with 8 KB", unit: "×", atMost: 0.3 },
      },
    },
    {
      module: "./overhead/stream-http.ts",
      figures: { stream_ratio_http: { about: "ChatOpenAI streams 100 chunks from the simulated provider: wrapped miss / bare", unit: "×", atMost: 1.15 } },
    },
    {
      module: "./overhead/stream-chunk.ts",
      figures: { stream_us_per_chunk: { about: "a fake model streams 100 chunks: wrapped miss - bare, per chunk", unit: "µs", atMost: 4 } },
    },
    {
      module: "./overhead/coalesce.ts",
      figures: { coalesce_calls: { about: "upstream calls of 1,000 equal concurrent calls", unit: "calls", exactly: 1 } },
    },
    {
      module: "./overhead/heap-entry.ts",
      figures: { heap_per_entry_bytes: { about: "heap that one kept answer of 2 KB takes, by 20,000 entries", unit: "bytes" } },
    },
    {
      module: "./overhead/heap-growth.ts",
      figures: { heap_growth_bytes: { about: "growth of the heap by 200,000 mixed calls, after a full garbage collection", unit: "bytes", atMost: 5 * 1024 * 1024 } },
    },
  ],
} satisfies Bench;
