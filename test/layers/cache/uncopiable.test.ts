import { AIMessage } from "@langchain/core/messages";
import { DynamicTool } from "@langchain/core/tools";
import { Document } from "@langchain/core/documents";
import { createPerf, withPerf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { Gate, settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";

class Row {
  count = 0;
}
const circle: { self?: object } = {};
circle.self = circle;

const UNCOPIABLE: readonly [string, () => unknown][] = [
  ["a Response", () => new Response("body")],
  ["a stream", () => new Blob(["x"]).stream()],
  ["an async generator", () => (async function* () { yield 1; })()],
  ["an iterator", () => [1, 2].values()],
  ["an object that can be iterated", () => ({ [Symbol.iterator]: () => [1].values() })],
  ["a function", () => () => 1],
  ["an object with a class", () => new Row()],
  ["one deep inside", () => ({ rows: [new Map([["a", new Set([new Row()])]])] })],
  ["one in a message", () => new AIMessage({ content: "", additional_kwargs: { row: new Row() } })],
  ["one in a document", () => new Document({ pageContent: "", metadata: { row: new Row() } })],
  ["an error with a class", () => new (class Odd extends Error {})("odd")],
];

describe.each(UNCOPIABLE)("%s", (_name, make) => {
  it("is not kept, and everybody who shares the call gets one of their own", async () => {
    const { perf, facts } = listening();
    const gate = new Gate();
    const lookup = perf.cached("lookup", async () => (await gate.promise, make()));
    const asked = Promise.all([lookup(), lookup(), lookup()]);
    await settle();
    gate.open();
    const results = [...(await asked), await lookup()];
    expect(new Set(results).size).toBe(4);
    expect(facts.map(({ cache, coalesced, leaderId }) => [cache?.status, coalesced, leaderId])).toEqual([["miss", "leader"], ["miss"], ["miss"], ["miss", "leader"]].map(([status, role]) => [status, role, undefined]));
    expect(perf.cache.stats().entries).toBe(0);
  });
});

it("a body can be read by each of those who shared the call", async () => {
  const load = createPerf().cached("load", async () => (await settle(), new Response("body")));
  const [one, other] = await Promise.all([load(), load()]);
  expect([await one.text(), await other.text(), await (await load()).text()]).toEqual(["body", "body", "body"]);
});

it("what goes in circles is given to each in turn, and not kept", async () => {
  let runs = 0;
  const lookup = createPerf().cached("lookup", async () => (await settle(), (runs += 1), circle));
  expect(await Promise.all([lookup(), lookup()])).toEqual([circle, circle]);
  expect(await lookup()).toBe(circle);
  expect(runs).toBe(3);
});

it("a tool's result with a class is not kept", async () => {
  const perf = createPerf({ cache: { kinds: { tool: ["row"] } }, coalesce: true });
  const tool = withPerf(new DynamicTool({ name: "row", description: "", func: async () => new Row() as never }), perf);
  const [one, other] = [await tool.invoke("q"), await tool.invoke("q")] as unknown[];
  expect(one).toBeInstanceOf(Row);
  expect(one).not.toBe(other);
});

describe.each<[string, () => unknown]>([
  ["plain data", () => ({ a: [1, { b: null, c: 1n, d: undefined }] })],
  ["a message", () => new AIMessage({ content: "a", tool_calls: [{ name: "t", args: { x: [1] }, id: "1" }] })],
  ["documents", () => [new Document({ pageContent: "a", metadata: { b: { c: 1 } } })]],
  ["a date", () => new Date(1)],
  ["a map of documents", () => new Map([["a", new Document({ pageContent: "a" })]])],
  ["a set", () => new Set([{ a: 1 }])],
  ["bytes", () => Buffer.from("a")],
  ["floats", () => new Float32Array([1, 2])],
  ["an error", () => new TypeError("wrong")],
  ["an address", () => new URL("http://localhost/a")],
  ["a pattern", () => /a/gu],
])("%s", (_name, make) => {
  it("is kept, and each gets a copy", async () => {
    const { perf, facts } = listening();
    const lookup = perf.cached("lookup", async () => make());
    const [own, copy, again] = [await lookup(), await lookup(), await lookup()] as [object, object, object];
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "hit", "hit"]);
    expect(copy).toStrictEqual(own);
    expect(new Set([own, copy, again]).size).toBe(3);
  });
});
