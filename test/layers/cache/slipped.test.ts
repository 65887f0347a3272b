import { createPerf, type Perf } from "langchain-perf";
import fc from "fast-check";
import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { LabelIndex } from "../../../src/layers/cache/label-index.ts";
import { invalidationOf, labelsOf, matcherOf } from "../../../src/layers/cache/labels.ts";
import { concerns } from "../../../src/layers/cache/invalidations.ts";
import { createSealer } from "../../../src/layers/cache/seal.ts";
import { FaultyStore } from "../../support/stores/faulty-store.ts";
import { SimulatedBus, SimulatedLog } from "../../support/stores/simulated-bus.ts";
import { Gate, settle } from "../support/gate.ts";
import { opening } from "./model/opening.ts";

vi.mock("../../../src/open-tiers.ts", async () => ({ openTiers: (await import("./model/opening.ts")).openSimulated }));
afterEach(() => void vi.restoreAllMocks());

const log = new SimulatedLog();

/** A process over a shared store, and one of its own. */
async function start(shared: FaultyStore, own = new FaultyStore()): Promise<{ perf: Perf; bus: SimulatedBus }> {
  const bus = new SimulatedBus(log, true);
  opening.next = { bus, stores: [shared.open("redis", true), own.open("sqlite", false)] };
  const perf = createPerf({ coalesce: true, cache: { persistent: "sqlite:not opened", memory: false, warmStart: false } });
  onTestFinished(() => perf.close());
  await perf.flush();
  return { perf, bus };
}

/** A writes the answer to a question that B has invalidated meanwhile, before A hears of it. */
async function slip(shared: FaultyStore): Promise<{ a: Awaited<ReturnType<typeof start>>; b: Awaited<ReturnType<typeof start>> }> {
  const [a, b] = [await start(shared), await start(shared)];
  const gate = new Gate();
  const asked = a.perf.cached("work", () => gate.promise.then(() => "old"), { tags: ["doc"] })();
  await settle();
  a.bus.cut();
  await b.perf.cache.invalidate({ tags: ["doc"] });
  gate.open();
  await asked;
  await a.perf.flush();
  expect(shared.liveKeys).toHaveLength(1);
  return { a, b };
}

it("an answer that was written before its writer heard that it is invalid is erased when it hears of it", async () => {
  const shared = new FaultyStore();
  const { a } = await slip(shared);
  a.bus.heal();
  await a.perf.flush();
  expect(shared.liveKeys).toEqual([]);
});

it("what another process has written in its place meanwhile stays", async () => {
  const shared = new FaultyStore();
  const { a, b } = await slip(shared);
  await b.perf.run(() => b.perf.cached("work", async () => "new", { tags: ["doc"] })(), { cache: "refresh" });
  await b.perf.flush();
  a.bus.heal();
  await a.perf.flush();
  expect(shared.liveKeys).toHaveLength(1);
  const c = await start(shared);
  expect(await c.perf.cached("work", async () => "newest", { tags: ["doc"] })()).toBe("new");
});

it("an answer of such a writer that is found by a process that knows better is erased, whatever becomes of its writer", async () => {
  const shared = new FaultyStore();
  const { b } = await slip(shared);
  const [key] = shared.liveKeys;
  expect(await b.perf.cache.get(key!)).toBeUndefined();
  await b.perf.flush();
  expect(shared.liveKeys).toEqual([]);
});

it.each(['{"epoch":', "null", '{"epoch":1,"seq":2}'])("a process whose note of what it has heard is broken hears of invalidations all the same: %s", async (note) => {
  vi.spyOn(process, "emitWarning").mockReturnValue();
  const [shared, own] = [new FaultyStore(), new FaultyStore()];
  await own.open("sqlite", false).note!.write("bus-position", note);
  const [a, b] = [await start(shared, own), await start(shared)];
  let answer = "old";
  const work = a.perf.cached("work", async () => answer, { tags: ["doc"] });
  await work();
  await a.perf.flush();
  answer = "new";
  await b.perf.cache.invalidate({ tags: ["doc"] });
  await settle();
  expect(await work()).toBe("new");
});

const name = fc.constantFrom("a", "b", "c");
const entry = fc.record({ namespace: name, tenant: fc.option(name, { nil: undefined }), tags: fc.option(fc.uniqueArray(name), { nil: undefined }) });
const by = fc.record({ tags: fc.uniqueArray(name), tenant: name, namespace: name, key: name }, { requiredKeys: [] });

it.each([{}, { encryptionKey: Buffer.alloc(32, 7).toString("base64") }])("an invalidation is about the same entries, whether these are looked at one by one or found by label: %j", (options) => {
  const sealer = createSealer(options);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, entry), { maxLength: 12 }), fc.array(name), by, (set, removed, wanted) => {
      const index = new LabelIndex<{ readonly labels: readonly string[] }>();
      const kept = new Map(set);
      for (const [key, one] of set) index.set(key, { labels: labelsOf(one, sealer) });
      for (const key of removed) expect(index.delete(key) !== undefined).toBe(kept.delete(key));
      const invalidation = invalidationOf(wanted, sealer);
      const expected = [...kept].filter(([key, one]) => concerns(invalidation, key, labelsOf(one, sealer))).map(([key]) => key);
      expect(index.concerned(invalidation).map(([key]) => key).sort()).toEqual([...expected].sort());
      const matches = matcherOf(invalidation, sealer);
      expect([...kept].filter(([key, one]) => (wanted.key === undefined || wanted.key === key) && matches(one)).map(([key]) => key)).toEqual(expected);
    }),
    { seed: 20_261_121, numRuns: 300 },
  );
});
