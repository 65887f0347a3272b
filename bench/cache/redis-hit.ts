import { Redis } from "ioredis";
import { createPerf, withPerf } from "langchain-perf";
import { redisStore } from "../../src/stores/redis.ts";
import { startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type PairedResult, type Side } from "../harness/paired.ts";
import { shown } from "../harness/report.ts";
import { bentoInRedis, type Bento } from "./bento.ts";
import { generationOf, markdown } from "./generations.ts";
import { finding, tiersOf } from "./tiers.ts";

const KEYS = Array.from({ length: 16 }, (_, at) => `key ${at}`);
const against = (bare: Side, wrapped: Side): Promise<PairedResult> => paired({ bare, wrapped, calls: 20 });

export const measure: Measure = async () => {
  await using redis = await startRedis();
  const tiers = tiersOf({ far: redisStore(redis.url) });
  const bento = await bentoInRedis(redis.port);
  const client = new Redis(redis.url);
  for (const [at, key] of KEYS.entries()) {
    const entry = generationOf(markdown(2048, at));
    tiers.keep(key, entry, false);
    await bento.set({ key, value: entry.answer.parts[0] });
    await client.set(key, JSON.stringify(entry.answer.parts[0]));
  }
  await tiers.flush();
  const hit = finding(tiers, KEYS);
  const raw = await against(reading(client), hit);
  const peer = await against(reading(bento), hit);
  const model = await throughModel(redis.url, reading(client));
  client.disconnect();
  await bento.disconnect();
  await tiers.close();
  return {
    redis_hit_vs_raw: measured(raw.ratio, `${times(raw, "ioredis", "hit")}; through model.invoke ${shown(model.wrappedUs.median)} µs, ${shown(model.ratio.median)} × ioredis`),
    redis_hit_vs_bento: measured(peer.ratio, times(peer, "BentoCache", "hit")),
  };
};

function reading(source: Redis | Bento): Side {
  const read = source instanceof Redis ? async (key: string) => JSON.parse((await source.get(key)) ?? "null") as unknown : (key: string) => source.get({ key });
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) if (!(await read(KEYS[call % KEYS.length] as string))) throw new Error("This was no hit.");
    },
  };
}

/** What the same hit costs whoever asks a model. */
async function throughModel(url: string, bare: Side): Promise<PairedResult> {
  await using perf = createPerf({ cache: { redis: url, memory: false } });
  const fake = new FakeModel({ answer: () => markdown(2048) });
  const model = withPerf(fake, perf);
  const ask = async (calls: number): Promise<void> => {
    for (let call = 0; call < calls; call++) await model.invoke(KEYS[call % KEYS.length] as string);
  };
  await ask(KEYS.length);
  await perf.flush();
  const asked = fake.calls;
  const result = await against(bare, { run: ask });
  if (fake.calls !== asked) throw new Error("These were no hits.");
  return result;
}
