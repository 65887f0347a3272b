import fc from "fast-check";
import { afterEach, beforeEach, it, vi } from "vitest";
import type { InvalidateBy } from "../../../src/layers/cache/labels.ts";
import { keyName, type Tenant } from "./model/reference.ts";
import type { AskWishes } from "./model/processes.ts";
import { World } from "./model/world.ts";

vi.mock("../../../src/open-tiers.ts", async () => ({ openTiers: (await import("./model/opening.ts")).openSimulated }));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"], now: 1_763_683_200_000 });
  // Each perf says once that a tier fails.
  vi.spyOn(globalThis.process, "emitWarning").mockReturnValue();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const PROCESSES = 3;
const SEED = 20_261_121;
type Command = fc.AsyncCommand<object, World>;

function command(name: string, run: (world: World) => Promise<void> | void): Command {
  return {
    check: () => true,
    run: async (_model, world) => {
      await run(world);
      await world.check();
    },
    toString: () => name,
  };
}

const process = fc.nat(PROCESSES - 1);
const store = fc.nat(5);
const question = fc.nat(3);
const tenant: fc.Arbitrary<Tenant> = fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom<Tenant>("acme", "initech") });
const wishes: fc.Arbitrary<AskWishes> = fc.record({
  question,
  tenant,
  mode: fc.oneof({ weight: 8, arbitrary: fc.constant("use" as const) }, { weight: 2, arbitrary: fc.constant("refresh" as const) }, { weight: 1, arbitrary: fc.constant("bypass" as const) }),
  ttlMs: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(0, 5_000) }),
  tag: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant("extra") }),
});
type By = InvalidateBy | "all" | { readonly keyOf: readonly [number, Tenant] };
const by: fc.Arbitrary<By> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<By>({ tags: ["part-0"] }, { tags: ["part-1"] }, { tags: ["extra"] }, { tags: ["part-0", "extra"] }, { tags: ["none"] }) },
  { weight: 2, arbitrary: fc.constantFrom<By>({ tenant: "acme" }, { tenant: "initech", tags: ["work"] }, { namespace: "default" }, { namespace: "other" }, "all") },
  { weight: 2, arbitrary: fc.tuple(question, tenant).map((keyOf): By => ({ keyOf })) },
);

const commands: fc.Arbitrary<Command>[] = [
  ...Array.from({ length: 4 }, () => fc.tuple(process, wishes).map(([at, wanted]) => command(`ask(${at}, ${JSON.stringify(wanted)})`, (world) => world.ask(at, wanted)))),
  fc.tuple(process, wishes).map(([at, wanted]) => command(`begin(${at}, ${JSON.stringify(wanted)})`, (world) => void world.begin(at, wanted, true))),
  fc.constant(command("release", (world) => world.release())),
  ...Array.from({ length: 2 }, () => fc.tuple(process, by).map(([at, what]) => command(`invalidate(${at}, ${JSON.stringify(what)})`, (world) => world.invalidate(at, named(world, what))))),
  fc.tuple(store, fc.constantFrom("crashed" as const, "frozen" as const, "slow" as const)).map(([at, health]) => command(`make(${at}, ${health})`, (world) => world.make(at, health))),
  store.map((at) => command(`thaw(${at})`, (world) => world.thaw(at))),
  store.map((at) => command(`empty(${at})`, (world) => world.empty(at))),
  fc.constant(command("heal", (world) => world.heal())),
  process.map((at) => command(`cut(${at})`, (world) => world.cut(at))),
  process.map((at) => command(`connect(${at})`, (world) => world.connect(at))),
  process.map((at) => command(`restart(${at})`, (world) => world.restart(at))),
  process.map((at) => command(`flush(${at})`, (world) => world.drive(world.processes[at]!.perf.flush()))),
  fc.constantFrom(1_000, 6_000, 61_000).map((ms) => command(`travel(${ms})`, async () => void (await vi.advanceTimersByTimeAsync(ms)))),
];

/** A key is known once its question was asked. */
function named(world: World, what: By): InvalidateBy | "all" {
  return what !== "all" && "keyOf" in what ? { key: world.reference.keys.get(keyName(...what.keyOf)) ?? "unknown" } : what;
}

it.each([{ local: false }, { local: true }])("three processes over ill tiers answer as a simple reference says: %o", { timeout: 60_000 }, async ({ local }) => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 60, size: "max" }), async (played) => {
      const world = new World(PROCESSES, local);
      await world.open();
      await fc.asyncModelRun(() => ({ model: {}, real: world }), played);
      for (const [at] of world.processes.entries()) world.connect(at);
      await world.check();
      await world.heal();
      await world.check();
      await world.close();
      await world.check();
    }),
    { seed: SEED, numRuns: 250 },
  );
});
