import type { Bench } from "./harness/bench.ts";

export default {
  about: "cache: what a hit costs in each tier, how much is hit, and what is left of it when Redis is in trouble",
  groups: [
    {
      module: "./cache/memory-get.ts",
      figures: { memory_get_vs_lru: { about: "get of the memory store / get of a bare lru-cache", unit: "×", atMost: 3 } },
    },
    {
      module: "./cache/memory-hit.ts",
      figures: { memory_hit_vs_bento: { about: "a hit in memory, 2 KB, with all that is checked / BentoCache's default memory hit", unit: "×", atMost: 0.1 } },
    },
    {
      module: "./cache/redis-hit.ts",
      figures: {
        redis_hit_vs_raw: { about: "a hit in Redis of a generation of 2 KB, made messages again / GET of bare ioredis and JSON.parse", unit: "×", atMost: 1.5 },
        redis_hit_vs_bento: { about: "the same / BentoCache's hit in Redis alone", unit: "×", atMost: 0.8 },
      },
    },
    {
      module: "./cache/far-hits.ts",
      figures: {
        redis_hit_us: { about: "a hit in Redis of a generation of 2 KB, one at a time", unit: "µs" },
        sqlite_hit_us: { about: "the same in a SQLite file", unit: "µs" },
      },
    },
    {
      module: "./cache/sealing.ts",
      figures: {
        compressed_ratio: { about: "bytes of an entry of 8 KB of Markdown, plain / compressed", unit: "×" },
        encrypt_us: { about: "sealing and opening an entry of 2 KB, encrypted - plain", unit: "µs" },
      },
    },
    {
      module: "./cache/hit-rate.ts",
      figures: {
        hit_rate_web12_memory5pct: { about: "hits of S3-FIFO with room for 5% of the trace's keys", unit: "of 1", atLeast: 0.64 },
        hit_rate_web07_memory5pct: { about: "the same of the other trace", unit: "of 1", atLeast: 0.535 },
      },
    },
    {
      module: "./cache/hit-rate-tiers.ts",
      figures: { hit_rate_web12_tiers: { about: "the same with a SQLite file behind it, through perf.cached", unit: "of 1", atLeast: 0.855 } },
    },
    {
      module: "./cache/memory-needed.ts",
      figures: {
        memory_for_lru_hit_rate_web12: { about: "entries that S3-FIFO needs for LRU's hit rate at 5% / entries that LRU needs", unit: "×", atMost: 0.75 },
        memory_for_lru_hit_rate_web07: { about: "the same of the other trace", unit: "×", atMost: 0.6 },
      },
    },
    {
      module: "./cache/million-tokens.ts",
      figures: { hit_ms_1m_tokens: { about: "model.invoke with a prompt of a million tokens, 4 MB: a hit in memory", unit: "ms", atMost: 50 } },
    },
    {
      module: "./cache/equal-misses.ts",
      figures: {
        far_reads_equal_misses: { about: "reads of Redis by 1,000 equal concurrent misses", unit: "reads", exactly: 1 },
        far_writes_equal_misses: { about: "writes to Redis by the same", unit: "writes", exactly: 1 },
      },
    },
    {
      module: "./cache/cluster-calls.ts",
      figures: { cluster_calls: { about: "upstream calls of 4 processes, each with 50 equal concurrent calls, half of them streams", unit: "calls", exactly: 1 } },
    },
    {
      module: "./cache/outage.ts",
      figures: {
        outage_failed_calls: { about: "calls that failed while Redis was killed, frozen, slow and cut in turn", unit: "calls", exactly: 0 },
        outage_added_p99_ms: { about: "p99 of the time of a call during the worst of these - p99 in calm", unit: "ms", atMost: 100 },
        outage_lost_writes: { about: "answers made during these that are not in Redis afterwards", unit: "writes", exactly: 0 },
      },
    },
    {
      module: "./cache/stale.ts",
      figures: {
        stale_after_invalidate: { about: "invalidated answers that 4 processes give after two of them were cut off and are connected again", unit: "answers", exactly: 0 },
      },
    },
    {
      module: "./cache/database.ts",
      figures: {
        db_query_ratio: { about: "a search in Postgres through perf.cached with Redis alone: queries / requests", unit: "×", atMost: 0.5 },
        db_response_ratio: { about: "the same: mean response time / that of the search itself", unit: "×", atMost: 0.7 },
      },
    },
    {
      module: "./cache/postgres-key-index.ts",
      figures: { postgres_hash_vs_btree: { about: "the Postgres store's read of 16 keys: with a hash index on the key too / with the B-tree alone", unit: "×" } },
    },
  ],
} satisfies Bench;
