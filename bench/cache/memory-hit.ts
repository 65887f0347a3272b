import { memoryStore } from "../../src/stores/memory.ts";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired } from "../harness/paired.ts";
import { bentoInMemory } from "./bento.ts";
import { generationOf, markdown } from "./generations.ts";
import { tiersOf } from "./tiers.ts";

const KEYS = Array.from({ length: 16 }, (_, at) => `key ${at}`);

export const measure: Measure = async () => {
  const bento = await bentoInMemory();
  const tiers = tiersOf({ memory: memoryStore() });
  for (const [at, key] of KEYS.entries()) {
    const entry = generationOf(markdown(2048, at));
    tiers.keep(key, entry, true);
    await bento.set({ key, value: entry.answer.parts[0] });
  }
  const asked = async (calls: number, isHit: (key: string) => unknown): Promise<void> => {
    for (let call = 0; call < calls; call++) if (!(await isHit(KEYS[call % KEYS.length] as string))) throw new Error("This was no hit.");
  };
  const near = async (calls: number): Promise<void> => {
    // Without the promise that a synchronous hit does without.
    for (let call = 0; call < calls; call++) if (!tiers.near(KEYS[call % KEYS.length] as string)) throw new Error("This was no hit.");
  };
  const result = await paired({ bare: { run: (calls) => asked(calls, (key) => bento.get({ key })) }, wrapped: { run: near }, calls: 2_000, rounds: 101, warmUpRounds: 20 });
  await bento.disconnect();
  return { memory_hit_vs_bento: measured(result.ratio, times(result, "BentoCache", "hit")) };
};
