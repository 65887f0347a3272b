import { execFile } from "node:child_process";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { mapInputs, type MapOptions, type MapResult } from "../src/map.ts";

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
};
const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Work whose end the test decides. */
class Desk {
  readonly signals = new Map<unknown, AbortSignal>();
  readonly #ends = new Map<unknown, { resolve(output: string): void; reject(error: unknown): void }>();

  readonly work = (input: unknown, { signal }: { signal: AbortSignal }): Promise<string> => {
    this.signals.set(input, signal);
    return new Promise((resolve, reject) => this.#ends.set(input, { resolve, reject }));
  };

  get begun(): unknown[] {
    return [...this.signals.keys()];
  }

  async finish(input: unknown): Promise<void> {
    this.#ends.get(input)?.resolve(`output ${String(input)}`);
    await immediate();
  }

  async fail(input: unknown, error: unknown): Promise<void> {
    this.#ends.get(input)?.reject(error);
    await immediate();
  }
}

/** Inputs that know how far they were read and whether they were closed. */
function watched(count: number): { inputs: Generator<number>; taken(): number; closed(): boolean } {
  let [taken, closed] = [0, false];
  function* generate(): Generator<number> {
    try {
      while (taken < count) yield taken++;
    } finally {
      closed = true;
    }
  }
  return { inputs: generate(), taken: () => taken, closed: () => closed };
}

const reading = <T>(results: AsyncIterable<T>): AsyncIterator<T> => results[Symbol.asyncIterator]();

afterEach(() => {
  vi.restoreAllMocks();
});

describe("map", () => {
  it("gives every input exactly one result, in order, within its bounds, whatever the speeds and failures", async () => {
    const item = fc.record({ duration: fc.nat(12), fails: fc.boolean(), pause: fc.nat(12) });
    const run = fc.record({ items: fc.array(item, { maxLength: 60 }), concurrency: fc.integer({ min: 1, max: 6 }), order: fc.constantFrom("input" as const, "completion" as const), late: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(run, async ({ items, concurrency, order, late }) => {
        let [taken, atWork, most, furthest, read] = [0, 0, 0, 0, 0];
        const completed: number[] = [];
        const place = (): number => {
          furthest = Math.max(furthest, taken + 1 - read);
          return taken++;
        };
        const inputs = late ? (async function* () { for (const _ of items) { await turns(2); yield place(); } })() : (function* () { for (const _ of items) yield place(); })();
        const work = async (index: number): Promise<number> => {
          most = Math.max(most, ++atWork);
          await turns(items[index]?.duration ?? 0);
          atWork -= 1;
          completed.push(index);
          if (items[index]?.fails) throw new Error(`failed ${index}`);
          return -index;
        };
        const results: MapResult<number, number>[] = [];
        for await (const result of mapInputs(work, inputs, { concurrency, order })) {
          read += 1;
          results.push(result);
          await turns(items[result.index]?.pause ?? 0);
        }
        const expected = items.map(({ fails }, index) => (fails ? { index, input: index, ok: false, error: new Error(`failed ${index}`) } : { index, input: index, ok: true, output: -index }));
        expect(results).toEqual(order === "input" ? expected : completed.map((index) => expected[index]));
        expect(most).toBeLessThanOrEqual(concurrency);
        expect(furthest).toBeLessThanOrEqual(2 * concurrency + 1);
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it("begins nothing before it is read, and takes no more than it can work on", async () => {
    const desk = new Desk();
    const { inputs, taken } = watched(100);
    const results = reading(mapInputs(desk.work, inputs, { concurrency: 3 }));
    await immediate();
    expect([taken(), desk.begun]).toEqual([0, []]);
    const first = results.next();
    expect([taken(), desk.begun]).toEqual([3, [0, 1, 2]]);
    await desk.finish(0);
    expect(await first).toEqual({ done: false, value: { index: 0, input: 0, ok: true, output: "output 0" } });
    expect(taken()).toBe(4);
  });

  it.each(["input", "completion"] as const)("stops when nobody reads, and goes on with the next read: order %s", async (order) => {
    const desk = new Desk();
    const { inputs, taken } = watched(100);
    const results = reading(mapInputs(desk.work, inputs, { concurrency: 3, order }));
    const first = results.next();
    for (let at = 0; at < 100; at++) await desk.finish(at);
    await first;
    expect(taken()).toBe(7);
    await results.next();
    expect(taken()).toBe(8);
  });

  it("lets a slow first input hold back only so many results", async () => {
    const desk = new Desk();
    const { inputs, taken } = watched(100);
    const results = reading(mapInputs(desk.work, inputs, { concurrency: 4 }));
    const first = results.next();
    for (let at = 1; at < 100; at++) await desk.finish(at);
    expect(taken()).toBe(8);
    await desk.finish(0);
    const given = [first, ...Array.from({ length: 7 }, () => results.next())];
    expect((await Promise.all(given)).map(({ value }) => (value as MapResult<number, string>).index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("gives results as they come when asked for completion order", async () => {
    const desk = new Desk();
    const results = reading(mapInputs(desk.work, ["a", "b", "c"], { order: "completion" }));
    const reads = [results.next(), results.next(), results.next(), results.next()];
    for (const input of ["c", "a", "b"]) await desk.finish(input);
    expect((await Promise.all(reads)).map(({ done, value }) => (done ? "end" : value.index))).toEqual([2, 0, 1, "end"]);
  });

  it("aborts what is under way and closes the inputs when the reader leaves", async () => {
    const desk = new Desk();
    const { inputs, closed, taken } = watched(100);
    const controller = new AbortController();
    const removed = vi.spyOn(controller.signal, "removeEventListener");
    const first = immediate().then(() => desk.finish(0));
    for await (const { index } of mapInputs(desk.work, inputs, { concurrency: 2, signal: controller.signal })) {
      expect(index).toBe(0);
      break;
    }
    await first;
    expect([closed(), taken()]).toEqual([true, 3]);
    expect([...desk.signals].map(([, { aborted }]) => aborted)).toEqual([false, true, true]);
    expect(removed).toHaveBeenCalledTimes(1);
  });

  it("does not wait for inputs that stall when the reader leaves", async () => {
    const never = (async function* (): AsyncGenerator<string> {
      yield "first";
      await new Promise(() => {});
    })();
    const seen: unknown[] = [];
    for await (const { input } of mapInputs(async () => "", never)) {
      seen.push(input);
      break;
    }
    expect(seen).toEqual(["first"]);
  });

  it("rejects with the signal's reason at once, and is at its end then", async () => {
    const desk = new Desk();
    const { inputs, closed } = watched(100);
    const controller = new AbortController();
    const results = reading(mapInputs(desk.work, inputs, { concurrency: 2, signal: controller.signal }));
    const reads = [results.next(), results.next()];
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(reads[0]).rejects.toBe(reason);
    expect(await reads[1]).toEqual({ done: true, value: undefined });
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect(closed()).toBe(true);
    expect([...desk.signals.values()].map(({ reason }) => reason)).toEqual([reason, reason]);
  });

  it("takes no input when the signal has aborted before", async () => {
    const { inputs, taken } = watched(3);
    const signal = AbortSignal.abort(new Error("before"));
    await expect(Array.fromAsync(mapInputs(async () => 1, inputs, { signal }))).rejects.toThrow("before");
    expect(taken()).toBe(0);
  });

  it("ends with the first failure when told so: the rest is aborted, results that are due are given first", async () => {
    const desk = new Desk();
    const { inputs, closed, taken } = watched(100);
    const progress: number[] = [];
    const results = reading(mapInputs(desk.work, inputs, { concurrency: 4, stopOnError: true, onProgress: (done) => progress.push(done) }));
    const first = results.next();
    const failure = new Error("no");
    for (const at of [1, 3]) await desk.finish(at);
    await desk.finish(0);
    expect(await first).toMatchObject({ value: { index: 0 } });
    await desk.fail(2, failure);
    expect(await results.next()).toMatchObject({ value: { index: 1 } });
    await expect(results.next()).rejects.toBe(failure);
    expect(await results.next()).toEqual({ done: true, value: undefined });
    await desk.finish(4);
    expect([closed(), taken(), progress]).toEqual([true, 7, [1, 2, 3, 4]]);
    expect([...desk.signals].filter(([, { aborted }]) => aborted).map(([input]) => input)).toEqual([4, 5, 6]);
  });

  it.each([["a generator", false], ["an async generator", true]])("gives the results of all inputs before %s threw, then its error", async (_, isAsync) => {
    const broken = new Error("no more");
    const some = function* (): Generator<number> {
      yield* [0, 1, 2];
      throw broken;
    };
    const inputs = isAsync ? (async function* () { yield* some(); })() : some();
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      for await (const { index } of mapInputs(() => immediate(), inputs, { concurrency: 8 })) seen.push(index);
    };
    await expect(read()).rejects.toBe(broken);
    expect(seen).toEqual([0, 1, 2]);
  });

  it("tells the progress, with the total where the inputs have one", async () => {
    const told = async (inputs: Iterable<number>): Promise<unknown[]> => {
      const progress: unknown[] = [];
      const work = async (input: number): Promise<void> => {
        if (input === 2) throw new Error("counted all the same");
      };
      await Array.fromAsync(mapInputs(work, inputs, { onProgress: (...now) => progress.push(now) }));
      return progress;
    };
    expect(await told([1, 2])).toEqual([[1, 2], [2, 2]]);
    expect(await told(new Set([1, 2, 3]))).toEqual([[1, 3], [2, 3], [3, 3]]);
    expect(await told(watched(1).inputs)).toEqual([[1, undefined]]);
  });

  it("goes on when onProgress fails, and says so once", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockReturnValue();
    const failing = (): void => {
      throw new Error("not my day");
    };
    expect(await Array.fromAsync(mapInputs(async (input: number) => input, [1, 2, 3], { onProgress: failing }))).toHaveLength(3);
    expect(warned.mock.calls.flat()).toEqual(["langchain-perf: onProgress threw and the inputs go on: Error: not my day"]);
    await Array.fromAsync(mapInputs(async (input: number) => input, [1, 2], { onProgress: (async () => failing()) as MapOptions["onProgress"] }));
    await immediate();
  });

  it("takes work that throws at once for a failure", async () => {
    const work = (): Promise<never> => {
      throw new Error("at once");
    };
    expect(await Array.fromAsync(mapInputs(work, ["a"]))).toEqual([{ index: 0, input: "a", ok: false, error: new Error("at once") }]);
  });

  it.each([
    [{ concurrency: 0 }, 'Option "map.concurrency": wanted a whole number from 1 to 10000, got 0.'],
    [{ concurrency: Infinity }, 'Option "map.concurrency"'],
    [{ order: "random" }, 'Option "map.order": wanted one of "input", "completion", got "random".'],
    [{ signal: "now" }, 'Option "map.signal"'],
    [{ parallel: 3 }, 'Option "map.parallel": wanted one of the known options'],
  ])("refuses %j", (options, message) => {
    expect(() => mapInputs(async () => 1, [1], options as MapOptions)).toThrow(message);
  });

  it.each([undefined, 3, "text"])("refuses to map %j", (inputs) => {
    expect(() => mapInputs(async () => 1, inputs as unknown as number[])).toThrow('Option "map.inputs": wanted something to iterate over');
  });

  it("needs no more memory for a million inputs than for a thousand", async () => {
    const program = `
      import { mapInputs } from "${new URL("../src/map.ts", import.meta.url).href}";
      function* count(to) { for (let at = 0; at < to; at++) yield at; }
      async function heapAfter(inputs) {
        let read = 0;
        let heap = 0;
        for await (const { ok } of mapInputs(async (input) => input, count(inputs))) {
          if (ok && ++read === inputs) { gc(); heap = process.memoryUsage().heapUsed; }
        }
        return [read, heap];
      }
      const [, before] = await heapAfter(1_000);
      const [read, after] = await heapAfter(1_000_000);
      console.log(JSON.stringify({ read, grownBytes: after - before }));`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", "--input-type=module-typescript", "--eval", program]);
    const { read, grownBytes } = JSON.parse(stdout) as { read: number; grownBytes: number };
    expect(read).toBe(1_000_000);
    expect(grownBytes).toBeLessThan(2_000_000);
  });
});
