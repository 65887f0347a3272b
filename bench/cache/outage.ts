import { setTimeout as delay } from "node:timers/promises";
import { createPerf, type Perf } from "langchain-perf";
import { seededRandom } from "../../src/testing/random.ts";
import { eventually, type FaultProxy, faultProxy, type Server, startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { medianOf, p99, type Phase, SteadyLoad } from "./steady-load.ts";

const CALLS_PER_SECOND = 200;
const CALM_MS = 6_000;
const FAULT_MS = 5_000;
const ANSWER_MS = 5;
/** Half of the calls ask for one of these, more than memory has room for; the others ask for what nobody has asked before. */
const COMMON = 500;
const ROOM = 100;

interface Fault {
  readonly name: string;
  begin(): unknown;
  end(): unknown;
}

const faultsOf = (redis: Server, proxy: FaultProxy): Fault[] => [
  { name: "killed", begin: () => redis.kill(), end: () => redis.start() },
  { name: "frozen", begin: () => redis.freeze(), end: () => redis.thaw() },
  { name: "slow", begin: () => proxy.delay(200), end: () => proxy.heal() },
  { name: "cut", begin: () => proxy.cut(), end: () => proxy.heal() },
];

export const measure: Measure = async () => {
  await using redis = await startRedis();
  await using proxy = await faultProxy(redis.port);
  await using perf = createPerf({ cache: { redis: `redis://127.0.0.1:${proxy.port}`, memory: { maxEntries: ROOM } }, coalesce: true });
  const asker = new Asker(perf);
  const load = new SteadyLoad(CALLS_PER_SECOND, () => asker.ask());
  await load.during(2_000);
  const calm = await load.during(CALM_MS);
  const faults: { name: string; phase: Phase; made: number; lost: number }[] = [];
  for (const { name, begin, end } of faultsOf(redis, proxy)) {
    await begin();
    asker.made.clear();
    const phase = await load.during(FAULT_MS);
    const made = [...asker.made];
    await end();
    await recovered(perf);
    faults.push({ name, phase, made: made.length, lost: await missing(redis.url, made) });
  }
  await load.stop();
  const each = (text: (fault: (typeof faults)[number]) => string): string => faults.map((fault) => `${fault.name} ${text(fault)}`).join(", ");
  const calmMs = p99(calm);
  return {
    outage_failed_calls: { value: faults.reduce((sum, { phase }) => sum + phase.failed, calm.failed), note: `of ${each(({ phase }) => shown(phase.tookMs.length))}` },
    outage_added_p99_ms: {
      value: Math.max(...faults.map(({ phase }) => p99(phase) - calmMs)),
      note: `p99 calm ${shown(calmMs)} ms, ${each(({ phase }) => `${shown(p99(phase))} ms`)}; median calm ${shown(medianOf(calm))} ms, ${each(({ phase }) => `${shown(medianOf(phase))} ms`)}`,
    },
    outage_lost_writes: { value: faults.reduce((sum, { lost }) => sum + lost, 0), note: each(({ made, lost }) => `${shown(lost)} of ${shown(made)}`) },
  };
};

/** Asks the questions of the load, and knows which of them were answered by work and not by the cache. */
class Asker {
  readonly made = new Set<string>();
  readonly #random = seededRandom(1);
  readonly #lookUp: (id: string) => Promise<string>;
  #asked = 0;

  constructor(perf: Perf) {
    this.#lookUp = perf.cached("look up", async (id: string) => {
      await delay(ANSWER_MS);
      this.made.add(id);
      return answerTo(id);
    });
  }

  async ask(): Promise<void> {
    this.#asked += 1;
    const id = this.#random() < 0.5 ? `common ${Math.floor(this.#random() * COMMON)}` : `new ${this.#asked}`;
    if ((await this.#lookUp(id)) !== answerTo(id)) throw new Error("This was another question's answer.");
  }
}

const answerTo = (id: string): string => `the answer to ${id}`;

/** The load goes on meanwhile: it is what finds out that Redis is back. */
async function recovered(perf: Perf): Promise<void> {
  await eventually(
    () => {
      const [tier] = perf.cache.stats().tiers;
      return tier?.circuit === "closed" && tier.pending < 10;
    },
    { timeoutMs: 30_000 },
  );
  await perf.flush();
}

/** How many of these Redis does not have. */
async function missing(url: string, ids: readonly string[]): Promise<number> {
  await using perf = createPerf({ cache: { redis: { url, timeoutMs: 5_000 }, memory: false, warmStart: false } });
  let lost = 0;
  const lookUp = perf.cached("look up", async (_id: string) => {
    lost += 1;
    return "lost";
  });
  for (const id of ids) await lookUp(id);
  return lost;
}
