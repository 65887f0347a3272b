import type { Bench } from "./harness/bench.ts";

export default {
  about: "limits: what a permit costs, whether quotas hold and are used up, and what batches and connections save",
  groups: [
    {
      module: "./limits/acquire.ts",
      figures: {
        acquire_us: { about: "a permit of an idle local limiter, got and given back", unit: "µs" },
        acquire_vs_bottleneck: { about: "the same / a job of an idle Bottleneck", unit: "×", atMost: 0.01 },
      },
    },
    {
      module: "./limits/queue.ts",
      figures: {
        queued_per_second: { about: "calls admitted from a queue of 100,000", unit: "calls", atLeast: 100_000 },
        queued_bytes: { about: "memory of a call that waits", unit: "bytes", atMost: 1_024 },
      },
    },
    {
      module: "./limits/abort.ts",
      figures: { abort_us: { about: "leaving, of 50,000 queued calls that are aborted at once", unit: "µs", atMost: 15 } },
    },
    {
      module: "./limits/overrun-local.ts",
      figures: {
        overrun_requests: { about: "requests over the quota in the worst sliding minute, 10 × oversubscribed", unit: "requests", exactly: 0 },
        overrun_tokens: { about: "tokens over the quota of 300,000 in the worst sliding minute, max_tokens reserved", unit: "tokens", exactly: 0 },
        overrun_tokens_bad_estimate: { about: "the same of the quota, estimates wrong by up to 50%: random, biased, drifting", unit: "%", atMost: 2 },
        utilisation: { about: "share of the quota occupied, reservations included, the least of all these", unit: "of 1", atLeast: 0.95 },
      },
    },
    {
      module: "./limits/overrun-redis.ts",
      figures: {
        overrun_requests_redis: { about: "overrun_requests of 4 processes on one Redis", unit: "requests", exactly: 0 },
        overrun_tokens_redis: { about: "overrun_tokens of the same", unit: "tokens", exactly: 0 },
        overrun_tokens_bad_estimate_redis: { about: "overrun_tokens_bad_estimate of the same", unit: "%", atMost: 2 },
        utilisation_redis: { about: "utilisation of the same", unit: "of 1", atLeast: 0.95 },
      },
    },
    {
      module: "./limits/redis-acquire.ts",
      figures: {
        redis_acquire_p99_ms: { about: "p99 of a permit of the Redis limiter, nobody waiting", unit: "ms" },
        redis_acquire_vs_raw: { about: "a permit of the Redis limiter / a raw EVALSHA that writes a hash", unit: "×", atMost: 1.5 },
        redis_acquire_p99_vs_raw: { about: "the same of their p99", unit: "×", atMost: 1.5 },
      },
    },
    {
      module: "./limits/headers.ts",
      figures: {
        http_429: { about: "requests that the provider refused, its limits told by headers alone", unit: "%", atMost: 0.5 },
        http_goodput: { about: "answers / those of a pace that knows the true limits and the tokens of each request", unit: "of 1", atLeast: 0.95 },
      },
    },
    {
      module: "./limits/adaptive.ts",
      figures: {
        adaptive_goodput: { about: "goodput in the worst phase (20, 8, 30, 15 slots, saturated) / that of the best fixed limit of that phase; median of 15 seeds", unit: "of 1", atLeast: 0.95 },
        adaptive_p99: { about: "the same of p99 from admission", unit: "×", atMost: 1.5 },
      },
    },
    {
      module: "./limits/fairness.ts",
      figures: { fairness: { about: "Jain's index of the tokens that two tenants get of which one offers 20 × more", unit: "of 1", atLeast: 0.98 } },
    },
    {
      module: "./limits/embed-requests.ts",
      figures: {
        embed_requests: { about: "requests of 1,000 concurrent embedQuery calls, up to 512 texts each", unit: "requests", atMost: 1_000 / 512 + 2 },
        embed_vectors_differing: { about: "vectors that differ from those of single requests", unit: "vectors", exactly: 0 },
        embed_alone_us: { about: "a lone embedQuery, batched - not", unit: "µs" },
      },
    },
    {
      module: "./limits/tokens.ts",
      figures: {
        count_block_ms: { about: "longest that counting prompts of 1 KB to 4 MB held the event loop", unit: "ms", atMost: 10 },
        count_start_ms: { about: "longest that making a counter, which starts its thread, held it, once in a process", unit: "ms" },
        count_us_2k: { about: "counting a prompt of 2 KB, in its thread", unit: "µs" },
      },
    },
    {
      module: "./limits/pooled-fetch.ts",
      figures: {
        pooled_fetch_ratio_1: { about: "requests one after the other: pooledFetch / Node's fetch", unit: "×" },
        pooled_fetch_ratio_64: { about: "the same, 64 at a time", unit: "×" },
        pooled_fetch_ratio_500: { about: "the same, 500 at a time", unit: "×" },
        pooled_fetch_ratio_tls_64: { about: "the same over TLS, 64 at a time", unit: "×" },
        pooled_fetch_ratio_burst: { about: "a burst of 500 over TLS, 64 connections / one for each request", unit: "×" },
        pooled_fetch_ratio_after_rest: { about: "the first request after 5 s of rest, over TLS", unit: "×" },
      },
    },
  ],
} satisfies Bench;
