import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { redisStore } from "../../src/stores/redis.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";
import type { Tiers } from "../../src/layers/cache/tiers.ts";
import { startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { measured } from "../harness/measured.ts";
import { paired } from "../harness/paired.ts";
import { shown } from "../harness/report.ts";
import { generationOf, markdown } from "./generations.ts";
import { finding, tiersOf } from "./tiers.ts";

const KEYS = Array.from({ length: 1_000 }, (_, at) => `key ${at}`);

export const measure: Measure = async () => {
  await using redis = await startRedis();
  const folder = await mkdtemp(join(tmpdir(), "langchain-perf-bench-"));
  const inRedis = await filled(redisStore(redis.url));
  const inFile = await filled(sqliteStore(join(folder, "cache.db")));
  const { bareUs, wrappedUs, ratio } = await paired({ bare: finding(inRedis, KEYS), wrapped: finding(inFile, KEYS), calls: 20 });
  await Promise.all([inRedis.close(), inFile.close()]);
  await rm(folder, { recursive: true });
  return { redis_hit_us: measured(bareUs, "made messages again"), sqlite_hit_us: measured(wrappedUs, `${shown(ratio.median)} × Redis`) };
};

async function filled(store: Store): Promise<Tiers> {
  const tiers = tiersOf({ far: store });
  for (const [at, key] of KEYS.entries()) tiers.keep(key, generationOf(markdown(2048, at)), false);
  await tiers.flush();
  return tiers;
}
