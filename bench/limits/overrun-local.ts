import { resolveWith } from "../../src/core/options.ts";
import { LocalLimiter } from "../../src/limits/local.ts";
import { readLimits, type LimiterOptions } from "../../src/limits/options.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { VirtualTime } from "../../test/support/virtual-time.ts";
import { azureCalls } from "../data/azure-calls.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { ProviderView, type Windows } from "./provider-view.ts";
import { BAD_ESTIMATES, durationMs, RESERVED, type Scenario } from "./scenarios.ts";

const TOKENS_PER_MINUTE = 300_000;
const REQUESTS_PER_MINUTE = 600;
/** So few that now this quota holds a call up, and now that of tokens. */
const FEW_REQUESTS_PER_MINUTE = 220;
/** Ten times as many tokens as are allowed. */
const CALLS_PER_MINUTE = 2_200;
const MINUTE_MS = 60_000;
const LENGTH_MS = 10 * MINUTE_MS;
const SEEDS = [101, 102, 103, 104, 105];
const CALLS = azureCalls("conv");

interface Played {
  readonly name: string;
  readonly tokens: Windows;
  readonly requests: Windows;
}

export const measure: Measure = async () => {
  const tokensPerMinute = TOKENS_PER_MINUTE;
  const requestsPerMinute = REQUESTS_PER_MINUTE;
  const reserved = await playAll(RESERVED, { tokensPerMinute });
  const requests = await playAll(RESERVED, { requestsPerMinute });
  const both = await playAll(RESERVED, { tokensPerMinute, requestsPerMinute: FEW_REQUESTS_PER_MINUTE });
  const bad = (await Promise.all(BAD_ESTIMATES.map((scenario) => playAll(scenario, { tokensPerMinute })))).flat();
  const worst = bad.reduce((one, other) => (other.tokens.overrun > one.tokens.overrun ? other : one));
  const used = [...[...reserved, ...bad].map(({ name, tokens }) => ({ name, ...tokens })), ...requests.map((played) => ({ name: "requests", ...played.requests }))];
  const least = used.reduce((one, other) => (other.utilisation < one.utilisation ? other : one));
  return {
    overrun_requests: {
      value: Math.max(...[...requests, ...both].map((played) => played.requests.overrun)),
      note: `worst of ${SEEDS.length} seeds, with ${REQUESTS_PER_MINUTE} requests a minute, and with ${FEW_REQUESTS_PER_MINUTE} and ${shown(TOKENS_PER_MINUTE)} tokens`,
    },
    overrun_tokens: {
      value: Math.max(...[...reserved, ...both].map(({ tokens }) => tokens.overrun)),
      note: `worst of ${SEEDS.length} seeds; true tokens ${trueShare(reserved)} of the quota`,
    },
    overrun_tokens_bad_estimate: {
      value: (100 * worst.tokens.overrun) / TOKENS_PER_MINUTE,
      note: `worst of ${bad.length} plays: ${worst.name}; true tokens ${trueShare(bad)} of the quota`,
    },
    utilisation: { value: least.utilisation, note: `least of ${used.length} plays: ${least.name}; with right reservations ${shown(Math.min(...reserved.map(({ tokens }) => tokens.utilisation)))}` },
  };
};

function trueShare(plays: readonly Played[]): string {
  const shares = plays.map(({ tokens }) => tokens.trueTokens / TOKENS_PER_MINUTE);
  return `${shown(Math.min(...shares))} to ${shown(Math.max(...shares))}`;
}

async function playAll(scenario: Scenario, options: LimiterOptions): Promise<Played[]> {
  const plays: Played[] = [];
  for (const seed of SEEDS) plays.push(await play(scenario, options, seed));
  return plays;
}

/** Calls that come at random, ten times as many as may go, in virtual time. */
async function play(scenario: Scenario, options: LimiterOptions, seed: number): Promise<Played> {
  const time = new VirtualTime();
  const random = seededRandom(seed);
  const limiter = new LocalLimiter(resolveWith("", { ...options, maxQueue: Infinity, maxWaitMs: Infinity }, readLimits), time);
  const tokens = new ProviderView();
  const requests = new ProviderView();
  let next = Math.floor(random() * CALLS.length);
  const come = (): void => {
    const call = CALLS[(next += 1) % CALLS.length] as (typeof CALLS)[number];
    const { estimate, truth } = scenario.sizes(call, random, time.elapsed() / LENGTH_MS);
    void limiter.acquire({ tokens: estimate }).then((permit) => {
      const counted = tokens.admitted(time.elapsed(), estimate);
      requests.admitted(time.elapsed(), 1);
      time.after(durationMs(call), () => {
        tokens.known(counted, time.elapsed(), truth);
        permit.release({ tokens: truth });
      });
    });
    time.after((-Math.log(1 - random()) * MINUTE_MS) / CALLS_PER_MINUTE, come);
  };
  come();
  await time.pass(LENGTH_MS);
  return { name: scenario.name, tokens: tokens.worst(TOKENS_PER_MINUTE, MINUTE_MS), requests: requests.worst(options.requestsPerMinute ?? Infinity, MINUTE_MS) };
}
