import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import type { Layer } from "../../src/core/layer.ts";
import { batching, vectorOf, type Asked } from "./support/batching.ts";
import { Gate, settle } from "./support/gate.ts";

const texts = (count: number): string[] => Array.from({ length: count }, (_, at) => `text ${at}`);
const sizes = (asked: readonly Asked[]): number[] => asked.map(({ texts: together }) => together.length);

/** A provider that refuses requests with a bad text in them. */
function refusing(isBad: (text: string) => boolean, refusal: (bad: string) => unknown) {
  return ({ method, texts: together }: Asked): number[] | number[][] => {
    const bad = together.find(isBad);
    if (bad !== undefined) throw refusal(bad);
    return method === "embedQuery" ? vectorOf(together[0]!) : together.map(vectorOf);
  };
}

const refusal = (fields: object) => (bad: string) => Object.assign(new Error(`refused: ${bad}`), fields);

describe("a refusal that may be one text's fault", () => {
  it.each([
    ["status 400", refusal({ status: 400 })],
    ["status 413 in the response", refusal({ response: { status: 413 } })],
    ["statusCode 422", refusal({ statusCode: 422 })],
    ["status_code 400", refusal({ status_code: 400 })],
    ["AWS's status 400", refusal({ $metadata: { httpStatusCode: 400 } })],
    ["LangChain's own error around it", (bad: string) => new Error(`refused: ${bad}`, { cause: { status: 400 } })],
    ["a class of the user's own with a plain error", (bad: string) => new Error(`refused: ${bad}`)],
    ["a class that stumbles over what is no answer", (bad: string) => new TypeError(`refused: ${bad}`)],
  ])("fails the call of that text alone: %s", async (_title, make) => {
    const { query, asked } = batching({ symmetric: true, answer: refusing((text) => text === "text 41", make) });
    const outcomes = await Promise.allSettled(texts(100).map((text) => query(text)));
    for (const [at, outcome] of outcomes.entries()) {
      if (at === 41) expect(outcome).toMatchObject({ status: "rejected", reason: { message: "refused: text 41" } });
      else expect(outcome).toEqual({ status: "fulfilled", value: vectorOf(`text ${at}`) });
    }
    // All, four quarters of 25, four parts of 7 or fewer, four of 2 or one, two alone.
    expect(asked.length).toBeLessThanOrEqual(1 + 4 + 4 + 4 + 2);
  });

  it("asks little more than everybody would have asked alone, if all are bad", async () => {
    const { query, asked } = batching({ symmetric: true, answer: refusing(() => true, refusal({ status: 400 })) });
    const outcomes = await Promise.allSettled(texts(256).map((text) => query(text)));
    expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
    expect(asked.length).toBe(1 + 4 + 16 + 64 + 256);
  });

  it("fails a call of several texts as it would have failed alone, after one try", async () => {
    const { documents, asked } = batching({ answer: refusing((text) => text === "bad", refusal({ status: 400 })) });
    await expect(documents(["a", "bad", "c"])).rejects.toThrow("refused: bad");
    expect(sizes(asked)).toEqual([3]);
  });

  it("is heard by its callers with the error that the provider gave their own request", async () => {
    const { documents } = batching({ answer: refusing((text) => text.startsWith("bad"), refusal({ status: 400 })) });
    const outcomes = await Promise.allSettled([documents(["a", "bad 1"]), documents(["b"]), documents(["bad 2", "c"])]);
    expect(outcomes.map((outcome) => (outcome.status === "rejected" ? (outcome.reason as Error).message : outcome.value))).toEqual(["refused: bad 1", [vectorOf("b")], "refused: bad 2"]);
  });

  it("lets the rest of a call rest that has failed by a part of it", async () => {
    const { documents, asked } = batching({ maxBatchSize: 2, answer: refusing((text) => text === "text 0", refusal({ status: 400 })) });
    const outcomes = await Promise.allSettled([documents(texts(3)), documents(["x"])]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(sizes(asked)).toEqual([2, 2]);
  });
});

describe("any other failure", () => {
  it.each([
    ["too many requests", Object.assign(new Error("later"), { status: 429 })],
    ["a server that fails", Object.assign(new Error("failed"), { status: 500 })],
    ["a wrong key", Object.assign(new Error("who?"), { status: 401 })],
    ["no connection", new TypeError("fetch failed", { cause: new Error("ECONNREFUSED") })],
    ["no answer in time", Object.assign(new Error("timed out"), { code: "ETIMEDOUT" })],
    ["what is no error at all", undefined],
  ])("fails all who share the request, which is not made again: %s", async (_title, failure) => {
    const { query, documents, asked, batch } = batching({ symmetric: true, answer: () => Promise.reject(failure as Error) });
    const outcomes = await Promise.allSettled([query("a"), documents(["b", "c"]), query("d")]);
    for (const outcome of outcomes) expect(outcome.status === "rejected" && outcome.reason).toBe(failure);
    expect(sizes(asked)).toEqual([4]);
    await settle();
    expect(batch.isIdle).toBe(true);
  });
});

describe("an answer that has not a vector for each text", () => {
  it.each([
    ["too few", (together: readonly string[]) => together.slice(1).map(vectorOf)],
    ["too many", (together: readonly string[]) => ["more", ...together].map(vectorOf)],
    ["an empty one", (together: readonly string[]) => together.map((text) => (text === "bad" ? [] : vectorOf(text)))],
    ["none where one should be", (together: readonly string[]) => together.map((text) => (text === "bad" ? (undefined as unknown as number[]) : vectorOf(text)))],
    ["no list", () => "no list" as unknown as number[][]],
  ])("is never given to the wrong caller: %s", async (_title, answer) => {
    const spoilt = ({ method, texts: together }: Asked) => (method === "embedQuery" ? vectorOf(together[0]!) : together.includes("bad") ? answer(together) : together.map(vectorOf));
    const { query } = batching({ symmetric: true, answer: spoilt });
    const all = ["a", "b", "bad", "d", "e", "f"];
    // Alone the query is asked by `embedQuery`, which knows no such trouble.
    expect(await Promise.all(all.map((text) => query(text)))).toEqual(all.map(vectorOf));
  });

  it("fails the call that it was made for", async () => {
    const { documents } = batching({ maxBatchSize: 2, answer: ({ texts: together }) => together.slice(1).map(vectorOf) });
    await expect(documents(texts(3))).rejects.toThrow("2 texts were asked for, and not each of them has an answer.");
  });
});

describe("a caller that leaves", () => {
  it("is answered at once and its texts are not sent any more", async () => {
    const { query, asked } = batching({ symmetric: true });
    const abort = new AbortController();
    const left = query("left", { signal: abort.signal });
    const others = Promise.all([query("a"), query("b")]);
    abort.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    expect(asked).toHaveLength(0);
    expect(await others).toEqual([vectorOf("a"), vectorOf("b")]);
    expect(asked.map(({ texts: together }) => together)).toEqual([["a", "b"]]);
  });

  it("does not disturb those it shares a request with, and the last to leave aborts it", async () => {
    const gate = new Gate();
    const { query, asked, batch } = batching({ symmetric: true, answer: async ({ texts: together }) => (await gate.promise, together.map(vectorOf)) });
    const [one, other] = [new AbortController(), new AbortController()];
    const outcomes = [query("a", { signal: one.signal }), query("b", { signal: other.signal })].map((answer) => answer.catch((error: unknown) => error));
    await settle();
    one.abort("one");
    expect(await outcomes[0]).toBe("one");
    expect(asked[0]!.signal?.aborted).toBe(false);
    other.abort("other");
    expect(await outcomes[1]).toBe("other");
    expect(asked[0]!.signal?.reason).toBe("other");
    gate.open();
    await settle();
    expect(batch.isIdle).toBe(true);
  });

  it("is not asked for when what it shared is asked in parts", async () => {
    const gate = new Gate();
    const refuse = refusing((text) => text === "bad", refusal({ status: 400 }));
    const { query, asked } = batching({ symmetric: true, answer: async (request, nth) => (nth === 1 && (await gate.promise), refuse(request)) });
    const abort = new AbortController();
    const outcomes = Promise.allSettled([query("bad"), query("left", { signal: abort.signal }), query("a")]);
    await settle();
    abort.abort();
    gate.open();
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
    expect(asked.slice(1).map(({ texts: together }) => together)).toEqual([["bad"], ["a"]]);
  });

  it("leaves no listener behind, and thousands with one signal have one", async () => {
    const { query, asked } = batching({ symmetric: true });
    const abort = new AbortController();
    const answers = Promise.all(texts(2_000).map((text) => query(text, { signal: abort.signal })));
    expect(getEventListeners(abort.signal, "abort")).toHaveLength(1);
    expect(await answers).toHaveLength(2_000);
    expect(getEventListeners(abort.signal, "abort")).toHaveLength(0);
    expect(asked).toHaveLength(4);
  });

  it("may have left before it came", async () => {
    const abort = new AbortController();
    const above: Layer = { name: "above", handle: (call, next) => (abort.abort("gone"), next(call)) };
    const { query, asked } = batching({ symmetric: true, above });
    await expect(query("a", { signal: abort.signal })).rejects.toBe("gone");
    await settle();
    expect(asked).toHaveLength(0);
  });
});
