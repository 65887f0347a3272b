import { AsyncLocalStorage } from "node:async_hooks";
import { expect, describe, it } from "vitest";
import { RateLimitError } from "../../src/core/errors.ts";
import type { Layer } from "../../src/core/layer.ts";
import { OptionReader } from "../../src/core/options.ts";
import { resolveBatch } from "../../src/layers/batch/options.ts";
import { batching, vectorOf } from "./support/batching.ts";
import { Gate, settle } from "./support/gate.ts";

const texts = (count: number, from = 0): string[] => Array.from({ length: count }, (_, at) => `text ${from + at}`);

describe("calls of one turn of the event loop", () => {
  it("become one request, and each gets its own vectors in its own order", async () => {
    const { query, documents, asked, batch } = batching({ symmetric: true });
    const answers = await Promise.all([query("a"), documents(["b", "c"]), query("d"), documents(["e"])]);
    expect(asked.map(({ method, texts: together }) => [method, together])).toEqual([["embedDocuments", ["a", "b", "c", "d", "e"]]]);
    expect(answers).toEqual([vectorOf("a"), [vectorOf("b"), vectorOf("c")], vectorOf("d"), [vectorOf("e")]]);
    await settle();
    expect(batch.isIdle).toBe(true);
  });

  it("go as they came where there is but one, without a timer", async () => {
    const { query, documents, asked, clock } = batching({ symmetric: true });
    expect(await query("a")).toEqual(vectorOf("a"));
    expect(await documents(["b", "c"])).toEqual([vectorOf("b"), vectorOf("c")]);
    expect(asked.map(({ method, texts: alone }) => [method, alone])).toEqual([["embedQuery", ["a"]], ["embedDocuments", ["b", "c"]]]);
    expect(clock.delays).toEqual([]);
  });

  it("join documents alone where queries are embedded in another way", async () => {
    const { query, documents, asked } = batching();
    await Promise.all([query("a"), query("b"), documents(["c"]), documents(["d"])]);
    expect(asked.map(({ method, texts: together }) => [method, together])).toEqual([["embedQuery", ["a"]], ["embedQuery", ["b"]], ["embedDocuments", ["c", "d"]]]);
  });

  it("do not join those of other embeddings", async () => {
    const { query, asked } = batching({ symmetric: true });
    const [one, other] = [{}, {}];
    await Promise.all([query("a", { embeddings: one }), query("b", { embeddings: other }), query("c", { embeddings: one })]);
    expect(asked.map(({ texts: together }) => together)).toEqual([["a", "c"], ["b"]]);
  });

  it("go alone when what they ask for are no texts", async () => {
    const { documents, asked } = batching({ answer: () => [] });
    await Promise.all([documents([]), documents([undefined as unknown as string]), documents(["a"]), documents(["b"])]);
    expect(asked.map(({ texts: together }) => together)).toEqual([[], [undefined], ["a", "b"], ["a"], ["b"]]);
  });

  it("run where the first of them was made", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const { query } = batching({ symmetric: true, maxBatchSize: 2, answer: ({ texts: together }) => (seen.push(storage.getStore()), together.map(vectorOf)) });
    await Promise.all(["first", "second"].map((name) => storage.run(name, () => query(name))));
    expect(seen).toEqual(["first"]);
  });

  it.each([
    ["made inside a request that holds a permit", { isNested: true }],
    ["of another priority", { control: { priority: 0 } }],
    ["with a deadline", { control: { deadlineAt: 1_000 } }],
  ])("do not join those %s", async (_title, wish) => {
    const { query, asked } = batching({ symmetric: true });
    await Promise.all([query("a"), query("b", wish), query("c"), query("d", wish)]);
    expect(asked.map(({ texts: together }) => together)).toEqual([["a", "c"], ["b", "d"]]);
  });

  it("ask with the latest of their deadlines, so that none is refused for another's", async () => {
    const deadlines: unknown[] = [];
    const below: Layer = { name: "below", handle: (call, next) => (deadlines.push(call.control.deadlineAt), next(call)) };
    const { query } = batching({ symmetric: true, below });
    await Promise.all([500, 900, 700].map((deadlineAt) => query(`by ${deadlineAt}`, { control: { deadlineAt } })));
    expect(deadlines).toEqual([900]);
  });
});

describe("a request", () => {
  it("has at most maxBatchSize texts, and a full one goes at once", async () => {
    const { query, asked } = batching({ symmetric: true, maxBatchSize: 4 });
    const answers = texts(10).map((text) => query(text));
    expect(asked).toHaveLength(2);
    expect(await Promise.all(answers)).toEqual(texts(10).map(vectorOf));
    expect(asked.map(({ texts: together }) => together.length)).toEqual([4, 4, 2]);
  });

  it("has a part of a call that is larger, and the parts go side by side", async () => {
    const gate = new Gate();
    const { documents, asked } = batching({ maxBatchSize: 4, answer: async ({ texts: together }) => (await gate.promise, together.map(vectorOf)) });
    const answers = Promise.all([documents(texts(9)), documents(texts(2, 9))]);
    await settle();
    expect(asked.map(({ texts: together }) => together.length)).toEqual([4, 4, 3]);
    gate.open();
    expect(await answers).toEqual([texts(9).map(vectorOf), texts(2, 9).map(vectorOf)]);
  });

  it.each([["batchSize", { batchSize: 3 }], ["maxBatchSize", { maxBatchSize: 3 }]])("has no more texts than the embeddings' own %s", async (_name, embeddings) => {
    const { query, asked } = batching({ symmetric: true, maxBatchSize: 100 });
    await Promise.all(texts(7).map((text) => query(text, { embeddings })));
    expect(asked.map(({ texts: together }) => together.length)).toEqual([3, 3, 1]);
  });

  it("has at most maxBatchTokens, estimated, and a larger text goes alone", async () => {
    const { documents, asked } = batching({ maxBatchTokens: 10 });
    await documents(["x".repeat(12), "x".repeat(12), "文".repeat(6), "x".repeat(300), "x"]);
    expect(asked.map(({ texts: together }) => together.map((text) => text.length))).toEqual([[12, 12], [6], [300], [1]]);
  });
});

describe("the window", () => {
  /** A setting with one request under way, and calls that come in turns of their own. */
  async function busy(maxWaitMs = 5) {
    const gate = new Gate();
    const setting = batching({ symmetric: true, maxWaitMs, answer: async ({ texts: together }) => (together[0] === "nested" || (await gate.promise), together.length === 1 ? vectorOf(together[0]!) : together.map(vectorOf)) });
    const answers: Promise<unknown>[] = [];
    const come = async (text: string, afterMs: number): Promise<void> => {
      setting.clock.advance(afterMs);
      answers.push(setting.query(text));
      await settle();
    };
    await come("first", 0);
    return { ...setting, come, gate, answers, sizes: () => setting.asked.map(({ texts: together }) => together.length) };
  }

  it("stays open while calls keep coming, and no longer than maxWaitMs", async () => {
    const { come, clock, sizes, gate, answers } = await busy();
    for (const text of texts(6)) await come(text, 1);
    expect(sizes()).toEqual([1, 5]);
    clock.advance(4);
    await settle();
    expect(sizes()).toEqual([1, 5, 1]);
    gate.open();
    expect(await Promise.all(answers)).toEqual(["first", ...texts(6)].map(vectorOf));
    expect(clock.waiting).toBe(0);
  });

  it("closes when the next call is overdue", async () => {
    const { come, clock, sizes } = await busy(100);
    for (const text of texts(4)) await come(text, 1);
    clock.advance(2.9);
    await settle();
    expect(sizes()).toEqual([1]);
    clock.advance(0.1);
    await settle();
    expect(sizes()).toEqual([1, 4]);
  });

  it("counts the calls of one turn as one", async () => {
    const { come, clock, sizes, query } = await busy(100);
    for (const text of texts(3)) await come(text, 1);
    clock.advance(1);
    for (const text of texts(20, 3)) void query(text);
    await settle();
    clock.advance(2.9);
    await settle();
    expect(sizes()).toEqual([1]);
    clock.advance(0.1);
    await settle();
    expect(sizes()).toEqual([1, 23]);
  });

  it("closes when nothing is under way any more, but for those who ask on at once", async () => {
    const { come, sizes, gate, query, answers, clock } = await busy();
    void (answers[0] as Promise<unknown>).then(() => query("on"));
    for (const text of texts(2)) await come(text, 1);
    expect(sizes()).toEqual([1]);
    gate.open();
    await Promise.all(answers);
    expect(sizes()).toEqual([1, 3]);
    expect(clock.waiting).toBe(0);
  });

  it("closes when nothing is under way any more, though nobody asks", async () => {
    const { come, sizes, gate, answers } = await busy();
    for (const text of texts(2)) await come(text, 1);
    gate.open();
    await Promise.all(answers);
    expect(sizes()).toEqual([1, 2]);
  });

  it("opens while any request is under way, not just the last one", async () => {
    const ends: (() => void)[] = [];
    const { query, clock, asked } = batching({ symmetric: true, answer: ({ texts: [text] }) => new Promise((resolve) => ends.push(() => resolve(vectorOf(text!)))) });
    const come = async (text: string, afterMs: number): Promise<void> => {
      clock.advance(afterMs);
      void query(text);
      await settle();
    };
    for (const text of ["a", "b"]) await come(text, 6);
    ends[1]!();
    await settle();
    for (const text of ["c", "d", "e", "f"]) await come(text, 1);
    clock.advance(5);
    await settle();
    expect(asked.map(({ texts: together }) => together.join(""))).toEqual(["a", "b", "cde", "f"]);
  });

  it("stays open when another for the same embeddings has come to its end", async () => {
    const { come, query, asked, clock } = await busy();
    await come("a", 1);
    await query("nested", { isNested: true });
    await come("b", 1);
    clock.advance(3);
    await settle();
    expect(asked.map(({ texts: together }) => together)).toEqual([["first"], ["nested"], ["a", "b"]]);
  });

  it("does not open for calls that come more seldom than it could wait", async () => {
    const { come, clock, sizes } = await busy();
    for (const text of texts(3)) await come(text, 6);
    expect(sizes()).toEqual([1, 1, 1, 1]);
    expect(clock.delays).toEqual([]);
  });

  it("does not open while nothing is under way, however fast the calls of one caller follow each other", async () => {
    const { query, clock } = batching({ symmetric: true });
    for (const text of texts(20)) {
      await query(text);
      clock.advance(0.1);
    }
    expect(clock.delays).toEqual([]);
  });

  it("never opens with maxWaitMs: 0", async () => {
    const { come, clock, sizes } = await busy(0);
    for (const text of texts(3)) await come(text, 0.1);
    expect(sizes()).toEqual([1, 1, 1, 1]);
    expect(clock.delays).toEqual([]);
  });
});

describe("facts", () => {
  it("tell how many texts went together, and what the layers below wrote down", async () => {
    const below: Layer = { name: "below", handle: (call, next) => ((call.facts.waitMs = 7), next(call)) };
    const { query, documents, facts } = batching({ symmetric: true, maxBatchSize: 6, below });
    await Promise.all([query("a"), documents(["b", "c"])]);
    await query("d");
    await documents(texts(8));
    expect(facts.map(({ batchSize, waitMs }) => [batchSize, waitMs])).toEqual([[3, 7], [3, 7], [1, 7], [6, 7]]);
    expect(new Set(facts.map(({ id }) => id)).size).toBe(4);
  });

  it("of a call that failed alone tell how it was asked in the end", async () => {
    const answer = ({ texts: together }: { texts: readonly string[] }) => {
      if (together.includes("bad")) throw Object.assign(new Error("bad text"), { status: 400 });
      return together.length === 1 ? vectorOf(together[0]!) : together.map(vectorOf);
    };
    const { query, facts } = batching({ symmetric: true, answer });
    await Promise.allSettled(["bad", "a"].map((text) => query(text)));
    expect(facts.map(({ batchSize, error }) => [batchSize, error?.code])).toEqual([[1, "400"], [1, undefined]]);
  });
});

it.each([
  [{ maxBatchSize: 0 }, "batch.maxBatchSize"], [{ maxBatchSize: 1.5 }, "batch.maxBatchSize"], [{ maxBatchTokens: "many" }, "batch.maxBatchTokens"],
  [{ maxWaitMs: -1 }, "batch.maxWaitMs"], [{ symmetric: "yes" }, "batch.symmetric"],
])("the options %j are refused by name", (options, option) => {
  expect(() => resolveBatch(new OptionReader("batch", options))).toThrow(`"${option}"`);
});

it("a request that is too large for a limit goes in parts that are not", async () => {
  const below: Layer = {
    name: "limit",
    handle(call, next) {
      if ((call.input as { text: readonly string[] }).text.length > 3) throw new RateLimitError("local", "larger than the limit", Infinity);
      return next(call);
    },
  };
  const { documents, asked } = batching({ below });
  const answers = await Promise.all(texts(8).map((text) => documents([text])));
  expect(answers).toEqual(texts(8).map((text) => [vectorOf(text)]));
  expect(asked.map(({ texts: together }) => together.length)).toEqual([2, 2, 2, 2]);
});
