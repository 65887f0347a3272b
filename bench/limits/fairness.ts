import { resolveWith } from "../../src/core/options.ts";
import { LocalLimiter } from "../../src/limits/local.ts";
import { readLimits } from "../../src/limits/options.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { VirtualTime } from "../../test/support/virtual-time.ts";
import { azureCalls, type AzureCall } from "../data/azure-calls.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { durationMs, RESERVED } from "./scenarios.ts";

const MINUTE_MS = 60_000;
const LENGTH_MS = 20 * MINUTE_MS;
/** Calls a minute; the tokens allow about 220, so that the small tenant alone would already be too much. */
const OFFERED = { large: 5_000, small: 250 };
const SEEDS = [1, 2, 3, 4, 5];
const CALLS = azureCalls("conv");

type Tenant = keyof typeof OFFERED;

/** Two tenants that both always have work queued, one with 20 times as much. */
export const measure: Measure = async () => {
  const plays: Record<Tenant, number>[] = [];
  for (const seed of SEEDS) plays.push(await play(seed));
  const indices = plays.map(({ large, small }) => jain([large, small]));
  const [worst] = plays.toSorted((one, other) => jain(Object.values(one)) - jain(Object.values(other))) as [Record<Tenant, number>];
  return { fairness: { value: Math.min(...indices), note: `worst of ${SEEDS.length} seeds: true tokens a minute ${shown(worst.large)} for the large tenant, ${shown(worst.small)} for the small one` } };
};

/** Jain, Chiu and Hawe 1984: 1 = all alike, 1/n = one has it all. */
function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0));
}

/** @returns true tokens a minute that each tenant got while both had calls that waited */
async function play(seed: number): Promise<Record<Tenant, number>> {
  const time = new VirtualTime();
  const random = seededRandom(seed);
  const limiter = new LocalLimiter(resolveWith("", { tokensPerMinute: 300_000, maxQueue: Infinity, maxWaitMs: Infinity }, readLimits), time);
  const got = { large: 0, small: 0 };
  const come = (tenant: Tenant): void => {
    const call = CALLS[Math.floor(random() * CALLS.length)] as AzureCall;
    const { estimate, truth } = RESERVED.sizes(call, random, 0);
    void limiter.acquire({ tokens: estimate, tenant }).then((permit) => {
      if (time.elapsed() > MINUTE_MS) got[tenant] += truth / (LENGTH_MS / MINUTE_MS - 1);
      time.after(durationMs(call), () => permit.release({ tokens: truth }));
    });
    time.after((-Math.log(1 - random()) * MINUTE_MS) / OFFERED[tenant], () => come(tenant));
  };
  for (const tenant of ["large", "small"] as const) come(tenant);
  await time.pass(LENGTH_MS);
  return got;
}
