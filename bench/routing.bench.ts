import type { Bench } from "./harness/bench.ts";

export default {
  about: "routing: what choosing among deployments costs, how loads are shared, and what callers see of failures",
  groups: [
    {
      module: "./routing/route-cost.ts",
      figures: {
        route_us: { about: "a call of a fake model, routed over 10 deployments - not routed", unit: "µs" },
        route_ratio: { about: "prompt | model | parser, wrapped, routed over one deployment / not routed", unit: "×", atMost: 1.5 },
      },
    },
    {
      module: "./routing/balance.ts",
      figures: { balance: { about: "share of a deployment against its weight, of 5:3:2, the worst of the three", unit: "%", atMost: 1 } },
    },
    {
      module: "./routing/least-busy.ts",
      figures: {
        least_busy_mean: { about: "mean time of an answer, least-busy / round-robin, four deployments of speeds 1, 1, 0.5 and 0.25", unit: "×", atMost: 0.5 },
        least_busy_p99: { about: "the same of p99", unit: "×", atMost: 0.5 },
        least_busy_vs_oracle: { about: "mean time of an answer, least-busy / weighted round-robin that was told the speeds", unit: "×", atMost: 1.15 },
      },
    },
    {
      module: "./routing/prefix.ts",
      figures: {
        prefix_miss_ratio: { about: "prompt tokens that 8 providers' prompt caches did not have, prefix-affinity / round-robin", unit: "×", atMost: 0.35 },
        prefix_imbalance: { about: "requests of the busiest deployment of these / the mean", unit: "×", atMost: 1.25 },
      },
    },
    {
      module: "./routing/hedge.ts",
      figures: {
        hedge_p99_together_13b: { about: "p99 of the time to the first token, hedged / not, latencies of Together's 13b", unit: "×", atMost: 0.1 },
        hedge_p99_replicate_70b: { about: "the same, latencies of Replicate's 70b", unit: "×", atMost: 0.65 },
        hedge_extra_calls: { about: "calls that hedging added, the more of the two", unit: "%", atMost: 5 },
        hedge_e2e_p99: { about: "p99 of the time of a whole answer, hedged / not, the worse of the two", unit: "×", atMost: 1 },
      },
    },
    {
      module: "./routing/errors.ts",
      figures: {
        errors_3pct: { about: "calls that failed or got another answer than the right one, of two deployments that fail 3.2% of theirs, at most two retries", unit: "%", atMost: 0.01 },
        amplification: { about: "upstream calls of these / calls", unit: "×", atMost: 1.05 },
      },
    },
    {
      module: "./routing/outage.ts",
      figures: {
        outage_goodput: { about: "calls answered in time, of all offered while one of three deployments was dead, slow or flapping, the worst of these; the other two have room for all", unit: "of 1", atLeast: 0.99 },
        outage_p99: { about: "p99 of these / p99 while all were healthy, the worst", unit: "×", atMost: 1.5 },
        outage_recovery_periods: { about: "from when it was healthy until it had its full share again / openMs, the worst", unit: "periods", atMost: 2 },
      },
    },
    {
      module: "./routing/retry-storm.ts",
      figures: { retry_storm: { about: "upstream calls / calls offered, while all deployments fail", unit: "×", atMost: 1.2 } },
    },
  ],
} satisfies Bench;
