import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { playsOf, type Admitted, type Order } from "./overrun-process.ts";
import { ProviderView, type Windows } from "./provider-view.ts";
import { RESERVED } from "./scenarios.ts";

const PROCESSES = 4;
const TOKENS_PER_MINUTE = 300_000;
const REQUESTS_PER_MINUTE = 600;
/** Ten times as many tokens as are allowed, of all processes together. */
const CALLS_PER_MINUTE = 2_200;
const LENGTH_MS = 175_000;
/** From then on the share is measured: until the second minute is over, each process has learned from few of its own calls. What is too much counts from the start. */
const LEARNED_MS = 115_000;

export const measure: Measure = async () => {
  await using redis = await startRedis();
  const begin = performance.timeOrigin + performance.now();
  const order = { redis: redis.url, callsPerMinute: CALLS_PER_MINUTE / PROCESSES, lengthMs: LENGTH_MS, tokensPerMinute: TOKENS_PER_MINUTE, requestsPerMinute: REQUESTS_PER_MINUTE };
  const told = await Promise.all(Array.from({ length: PROCESSES }, (_, seed) => played({ ...order, seed })));
  const plays = playsOf(TOKENS_PER_MINUTE, REQUESTS_PER_MINUTE).map(({ name, limits }, index) => {
    const calls = told.flatMap((processes) => processes[index] as Admitted[]);
    return { name, ...seen(calls, begin + LEARNED_MS, limits.requestsPerMinute) };
  });
  const [requests, reserved, ...bad] = plays as [Seen, Seen, ...Seen[]];
  const worst = bad.reduce((one, other) => (other.overrun > one.overrun ? other : one));
  const least = plays.reduce((one, other) => (other.utilisation < one.utilisation ? other : one));
  const trueShares = bad.map(({ trueTokens }) => trueTokens / TOKENS_PER_MINUTE);
  return {
    overrun_requests_redis: { value: requests.overrun, note: `${PROCESSES} processes, ${REQUESTS_PER_MINUTE} requests a minute` },
    overrun_tokens_redis: { value: reserved.overrun, note: `${RESERVED.name}; true tokens ${shown(reserved.trueTokens / TOKENS_PER_MINUTE)} of the quota` },
    overrun_tokens_bad_estimate_redis: {
      value: (100 * worst.overrun) / TOKENS_PER_MINUTE,
      note: `worst of ${bad.length} plays: ${worst.name}; true tokens ${shown(Math.min(...trueShares))} to ${shown(Math.max(...trueShares))} of the quota`,
    },
    utilisation_redis: { value: least.utilisation, note: `least of ${plays.length} plays: ${least.name}; with right reservations ${shown(reserved.utilisation)}` },
  };
};

interface Seen extends Windows {
  readonly name: string;
}

async function played(order: Order): Promise<Admitted[][]> {
  const child = fork(fileURLToPath(import.meta.resolve("./overrun-process.ts")), { serialization: "advanced" });
  child.send(order);
  const [told] = (await once(child, "message")) as [Admitted[][]];
  return told;
}

/** As the provider counts them: requests where they are limited, otherwise tokens. */
function seen(calls: readonly Admitted[], from: number, requestsPerMinute: number | undefined): Windows {
  const view = new ProviderView();
  for (const { at, estimate, truth, knownAt } of calls) {
    if (requestsPerMinute !== undefined) view.admitted(at, 1);
    else view.known(view.admitted(at, estimate), knownAt, truth);
  }
  return view.worst(requestsPerMinute ?? TOKENS_PER_MINUTE, from);
}
