import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createPerf, withPerf, type CacheOptions, type Perf, type StoreErrorEvent } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from "vitest";
import { end, life } from "../support/far.ts";
import { Numbered, wishing } from "../support/replies.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";
import { temporarySqlite } from "../support/temporary.ts";

const [KEY, NEXT, OTHER] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)) as [Uint8Array, Uint8Array, Uint8Array];
const SECRETS = ["my question", "the answer", "tag-of-mine", "tenant-of-mine", "namespace-of-mine"];

let warned: MockInstance;
beforeEach(() => void (warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {})));
afterEach(() => warned.mockRestore());

/** Everything that stands in the files of a folder. */
const bytesOf = (folder: string): string => readdirSync(folder).map((name) => readFileSync(join(folder, name), "latin1")).join("");

const ask = async (perf: Perf): Promise<string> =>
  (await withPerf(new ScriptedChat({ whole: () => textResult(`the answer ${Math.random()}`) }), perf).invoke("my question", wishing({ tenant: "tenant-of-mine", tags: ["tag-of-mine"] }))).text;

describe("a file of the cache", () => {
  it("shows without a key what it holds, or this test would find nothing either way", async () => {
    const { address, folder } = temporarySqlite();
    const one = life({ persistent: address, namespace: "namespace-of-mine" });
    await ask(one.perf);
    await end(one);
    const bytes = bytesOf(folder);
    for (const secret of SECRETS.slice(1)) expect(bytes).toContain(secret);
    expect(bytes).not.toContain("my question");
  });

  it("shows with a key neither question, answer, tag, tenant nor namespace, and is read by whoever has the key", async () => {
    const { address, folder } = temporarySqlite();
    const cache: CacheOptions = { persistent: address, namespace: "namespace-of-mine", encryptionKey: KEY, warmStart: false };
    const before = life(cache);
    const answer = await ask(before.perf);
    await before.perf.flush();
    for (const secret of SECRETS) expect(bytesOf(folder)).not.toContain(secret);
    await end(before);
    for (const secret of SECRETS) expect(bytesOf(folder)).not.toContain(secret);
    const after = life(cache);
    expect(await ask(after.perf)).toBe(answer);
    expect(after.found()).toEqual(["hit persistent"]);
    expect(await after.perf.cache.get(after.facts[0]!.cache!.key!)).toMatchObject({ tenant: "tenant-of-mine", tags: ["tag-of-mine"] });
    expect(await after.perf.cache.invalidate({ tags: ["tag-of-mine"], tenant: "tenant-of-mine" })).toBe(1);
    expect(await ask(after.perf)).not.toBe(answer);
  });

  it("comes to memory at the start with a key too", async () => {
    const { address } = temporarySqlite();
    const cache: CacheOptions = { persistent: address, encryptionKey: KEY };
    const before = life(cache);
    const answer = await ask(before.perf);
    await ask(before.perf);
    await end(before);
    const after = life(cache);
    await after.perf.flush();
    expect(await ask(after.perf)).toBe(answer);
    expect(after.found()).toEqual(["hit memory"]);
  });
});

describe("an exchanged key", () => {
  it("reads what the one before wrote, writes with itself, and invalidates both", async () => {
    const { address } = temporarySqlite();
    const open = (encryptionKey: CacheOptions["encryptionKey"]) => life({ persistent: address, encryptionKey, warmStart: false });
    const model = new Numbered();
    const chat = async ({ perf }: ReturnType<typeof life>, question: string): Promise<string> => (await withPerf(model, perf).invoke(question, wishing({ tags: ["x"] }))).text;
    const old = open(KEY);
    await chat(old, "old");
    await end(old);
    const rotated = open({ current: NEXT, previous: [KEY] });
    expect([await chat(rotated, "old"), await chat(rotated, "new")]).toEqual(["answer 1", "answer 2"]);
    await end(rotated);
    const newest = open(NEXT);
    expect(await chat(newest, "new")).toBe("answer 2");
    await end(newest);
    const again = open({ current: NEXT, previous: [KEY] });
    expect(await again.perf.cache.invalidate({ tags: ["x"] })).toBe(2);
    expect([await chat(again, "old"), await chat(again, "new")]).toEqual(["answer 3", "answer 4"]);
  });

  it.each<[string, CacheOptions["encryptionKey"], CacheOptions["encryptionKey"]]>([
    ["another key", KEY, OTHER],
    ["a key where there was none", undefined, KEY],
    ["none where there was a key", KEY, undefined],
  ])("that cannot read an entry makes it a miss and is reported: %s", async (_name, first, second) => {
    const { address } = temporarySqlite();
    const [before, after] = [first, second].map((encryptionKey) => life({ persistent: address, encryptionKey, warmStart: false })) as [ReturnType<typeof life>, ReturnType<typeof life>];
    const errors: StoreErrorEvent[] = [];
    after.perf.on("store-error", (event) => void errors.push(event));
    const model = new Numbered();
    await withPerf(model, before.perf).invoke("q");
    await end(before);
    expect((await withPerf(model, after.perf).invoke("q")).text).toBe("answer 2");
    expect(after.found()).toEqual(["miss"]);
    expect(errors.map(({ tier, operation }) => [tier, operation])).toEqual([["persistent", "decode"]]);
    await after.perf.flush();
    expect((await withPerf(model, after.perf).invoke("q")).text).toBe("answer 2");
  });
});

it.each<[unknown, string]>([
  ["too short", "cache.encryptionKey"],
  [new Uint8Array(8), "cache.encryptionKey"],
  [{ current: KEY, previous: ["short"] }, "cache.encryptionKey.previous[0]"],
  [{ current: KEY, prior: [KEY] }, "cache.encryptionKey.prior"],
])("refuses a key like %j, and shows nothing of it", (encryptionKey, option) => {
  const make = () => createPerf({ cache: { persistent: temporarySqlite().address, encryptionKey: encryptionKey as never } });
  expect(make).toThrow(expect.objectContaining({ name: "OptionError", option }) as Error);
  expect(make).not.toThrow(/too short|"short"/);
});
