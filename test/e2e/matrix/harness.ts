import { afterEach, describe, expect, it, vi } from "vitest";
import { type CallCounts, callsSince, noCalls } from "../../support/fakes/counts.ts";
import { createFakeKit, type FakeKit } from "../../support/fakes/kit.ts";
import { RunTreeRecorder } from "../../support/run-tree.ts";
import { METHODS, type MethodName, type Outcome, type Program } from "./methods.ts";
import { createNormaliser, type NormaliseOptions } from "./normalise.ts";
import { type CheckedShape, completeShape, type Shape } from "./shape.ts";
import { createPerf, type PerfOptions, withPerf } from "langchain-perf";

/** All that a caller and a callback handler can see of one run, ready to compare. */
interface Sight extends Outcome {
  runs: unknown;
  /** Callbacks for runs that never started. */
  strays: number;
}

interface Observation {
  sight: Sight;
  /** Calls that the fakes got. */
  real: CallCounts;
  /** Calls that the program made: by the run tree (a cache hit is a run too), or by the fakes for those that have no run. */
  made: CallCounts;
}

/** Runs a shape's program once. */
async function observe(
  program: Program, kit: FakeKit, shape: CheckedShape, method: MethodName, run: number, options: NormaliseOptions,
): Promise<Observation> {
  const recorder = new RunTreeRecorder();
  const racing = shape.racing.includes(method);
  const see = createNormaliser(racing ? { ...options, ids: "erase" } : options);
  const before = { ...kit.counts };
  const call = {
    inputs: shape.inputs,
    config: (index: number) => ({ ...shape.config(run, index), callbacks: [recorder] }),
  };
  let outcome: Outcome;
  try {
    outcome = await METHODS[method](program, call, see);
  } catch (error) {
    outcome = { error: see(error) };
  }
  if (racing && outcome.chunks) outcome.chunks = byRun(outcome.chunks);
  const real = callsSince(before, kit.counts);
  const made = { ...real };
  for (const kind of ["chat", "llm", "retriever", "tool"] as const) made[kind] = Math.max(real[kind], recorder.count(kind));
  return { sight: { ...outcome, runs: see(recorder.roots), strays: recorder.strays.length }, real, made };
}

/** Events and log patches sorted by the run they tell of; their order within a run is kept. */
function byRun(chunks: unknown[]): unknown[] {
  const runOf = (chunk: unknown): string => {
    const { name, tags, ops } = chunk as { name?: string; tags?: string[]; ops?: { path: string }[] };
    return ops ? ops[0]!.path.split("/", 3).join("/") : `${name} ${tags?.join()}`;
  };
  return chunks.toSorted((a, b) => runOf(a).localeCompare(runOf(b)));
}

/** The unwrapped program: what the wrapped one is held against. */
async function observeBare(shape: CheckedShape, method: MethodName, runs: number, options?: NormaliseOptions): Promise<Observation[]> {
  await using kit = createFakeKit();
  const program = await shape.make(kit);
  const observations: Observation[] = [];
  for (let run = 1; run <= runs; run += 1) observations.push(await observe(program, kit, shape, method, run, options ?? {}));
  return observations;
}

interface WrappedObservation extends Observation {
  /** Calls by the facts that perf reported. */
  reported: CallCounts;
}

/** The wrapped program, run as often as asked on one perf. */
async function observeWrapped(
  shape: CheckedShape, method: MethodName, perfOptions: PerfOptions, runs: number, options?: NormaliseOptions,
): Promise<WrappedObservation[]> {
  await using kit = createFakeKit();
  await using perf = createPerf(perfOptions);
  let reported = noCalls();
  perf.on("call", ({ kind }) => {
    if (kind !== "chain" && kind !== "function") reported[kind] += 1;
  });
  const program = withPerf(await shape.make(kit), perf);
  const observations: WrappedObservation[] = [];
  for (let run = 1; run <= runs; run += 1) {
    reported = noCalls();
    const observation = await observe(program, kit, shape, method, run, options ?? {});
    await perf.flush();
    observations.push({ ...observation, reported });
  }
  return observations;
}

const LAYERS = { cache: true, coalesce: true, trace: true };
const LIMITS: PerfOptions = { batch: true, rateLimit: { maxConcurrent: 4, requestsPerMinute: 600_000, tokensPerMinute: 60_000_000 } };

/** The columns of the matrix; all but the first compare a wrapped run with the bare one. */
const CHECKS: Record<string, (shape: CheckedShape, method: MethodName) => Promise<void>> = {
  // Guards the harness and the shape: what is not deterministic by itself can prove nothing.
  "bare twice": async (shape, method) => {
    const [one, other] = [await observeBare(shape, method, 2), await observeBare(shape, method, 2)];
    expect(one).toEqual(other);
    const { error, runs, strays } = one[0]!.sight;
    expect(error !== undefined, `threw ${JSON.stringify(error)}`).toBe(shape.throws.includes(method));
    expect(runs).not.toEqual([]);
    expect(strays).toBe(0);
  },
  "trace alone": async (shape, method) => {
    const [bare] = await observeBare(shape, method, 1);
    const [wrapped] = await observeWrapped(shape, method, { trace: true }, 1);
    expectSame(wrapped!, bare!);
  },
  "within limits": async (shape, method) => {
    const [bare] = await observeBare(shape, method, 1);
    const [wrapped] = await observeWrapped(shape, method, LIMITS, 1);
    expectSame(wrapped!, bare!);
  },
  "cold cache": async (shape, method) => {
    const [bare] = await observeBare(shape, method, 1);
    const [wrapped] = await observeWrapped(shape, method, LAYERS, 1);
    expectSame(wrapped!, bare!);
  },
  "warm cache": async (shape, method) => {
    const options = { ids: "erase", ignoreUsage: true } as const;
    const [, bare] = await observeBare(shape, method, 2, options);
    const [, warm] = await observeWrapped(shape, method, LAYERS, 2, options);
    const real = shape.throws.includes(method) ? bare!.real : shape.warmCounts(bare!.real);
    expectSame(warm!, { ...bare!, real });
  },
};

function expectSame({ sight, real, reported }: WrappedObservation, bare: Observation): void {
  expect(sight.runs, "run tree").toEqual(bare.sight.runs);
  expect(sight, "what the caller sees").toEqual(bare.sight);
  expect(real, "calls that reached the fakes").toEqual(bare.real);
  expect(reported, "calls reported by perf").toEqual(bare.made);
}

/** Generates the tests of the given shapes: one for each shape, method and column. */
export function describeMatrix(shapes: readonly Shape[]): void {
  afterEach(() => void vi.useRealTimers());
  for (const shape of shapes.map(completeShape)) {
    describe(shape.name, () => {
      for (const method of shape.methods) {
        for (const [column, check] of Object.entries(CHECKS)) {
          if (column === "warm cache" && shape.notWarm.includes(method)) continue;
          it(`${method}, ${column}`, async () => {
            if (shape.skipTimers) vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }).setTimerTickMode("nextTimerAsync");
            await check(shape, method);
          });
        }
      }
    });
  }
}
