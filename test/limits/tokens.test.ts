import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { Tiktoken, type TiktokenBPE } from "js-tiktoken/lite";
import cl100k from "js-tiktoken/ranks/cl100k_base";
import o200k from "js-tiktoken/ranks/o200k_base";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { BytePairs } from "../../src/limits/tokens/byte-pairs.ts";
import { countTokens, tokenCounter } from "../../src/limits/tokens/counter.ts";
import { CountingThread, type CountingThreadOptions } from "../../src/limits/tokens/counting-thread.ts";
import { encodingOf } from "../../src/limits/tokens/encoding.ts";
import { estimateTokens } from "../../src/limits/tokens/estimate.ts";
import { eventually } from "../support/services.ts";

const documents = JSON.parse(gunzipSync(readFileSync("examples/data/anthropic_docs.json.gz")).toString()) as { text: string }[];
const prose = documents.map(({ text }) => text).join("\n\n");

const TEXTS: Readonly<Record<string, string>> = {
  "English prose": prose.slice(0, 20_000),
  JSON: JSON.stringify(documents.slice(0, 20), undefined, 2),
  code: readFileSync("src/core/circuit.ts", "utf8"),
  Chinese: "人工智能是研究、开发用于模拟、延伸和扩展人的智能的理论、方法、技术及应用系统的一门新的技术科学。今天天气很好，我们一起去公园散步吧。",
  Russian: "Я помню чудное мгновенье: передо мной явилась ты, как мимолётное виденье, как гений чистой красоты. Сегодня хорошая погода, и мы пойдём гулять.",
  emoji: "That is great 😀! See you at 8 🎉🎉, ok? 👍🏽 ",
  base64: Buffer.from(Array.from({ length: 1_500 }, (_, at) => (at * at * 31 + at * 7) % 251)).toString("base64"),
};

describe.each([
  ["o200k_base", o200k],
  ["cl100k_base", cl100k],
] as [string, TiktokenBPE][])("byte pairs of %s", (_name, table) => {
  const theirs = new Tiktoken(table);
  const ours = new BytePairs(table);

  it.each(Object.entries(TEXTS))("are as many as js-tiktoken's for %s", (_kind, text) => {
    expect(ours.count(text)).toBe(theirs.encode(text, [], []).length);
  });

  it("are as many as js-tiktoken's for any short text, also for what is no Unicode and for special tokens", () => {
    const any = fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), fc.string({ maxLength: 40 }), fc.constantFrom("\ud800", "a\udc00b", "<|endoftext|>", " \n\t \r\n x", "ÀÉ's"));
    fc.assert(
      fc.property(fc.array(any, { maxLength: 4 }), (texts) => {
        const text = texts.join("");
        expect(ours.count(text)).toBe(theirs.encode(text, [], []).length);
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it("are within 1% of the real number for a run without an end", () => {
    const run = "ab".repeat(500);
    expect(Math.abs(ours.count(run) / theirs.encode(run, [], []).length - 1)).toBeLessThanOrEqual(0.01);
  });
});

describe("the estimate", () => {
  const real = new BytePairs(o200k);

  it.each(Object.entries(TEXTS))("is between -10% and +25% for %s", (_kind, text) => {
    const ratio = estimateTokens([text]) / real.count(text);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.25);
  });

  it("looks at slices of a huge text, and represents each of its parts", () => {
    const mixed = prose.slice(0, 400_000) + randomBytes(150_000).toString("base64");
    const ratio = estimateTokens([mixed]) / real.count(mixed);
    expect(ratio).toBeGreaterThan(0.85);
    expect(ratio).toBeLessThan(1.2);
  });

  it("is zero for nothing, and adds up texts", () => {
    expect(estimateTokens([])).toBe(0);
    expect(estimateTokens([""])).toBe(0);
    expect(estimateTokens(["one", "two"])).toBe(2);
  });
});

describe("the encoding", () => {
  it.each(["gpt-4", "gpt-4-turbo-2024-04-09", "gpt-4-0613", "gpt-3.5-turbo", "gpt-35-turbo", "text-embedding-3-small", "openai/gpt-4", "ft:gpt-3.5-turbo:org"])("of %s is cl100k_base", (model) => {
    expect(encodingOf(model)).toBe("cl100k_base");
  });

  it.each(["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.5-preview", "gpt-5", "o3", "openai/gpt-4o", "claude-sonnet-4-5", undefined])("of %s is o200k_base", (model) => {
    expect(encodingOf(model)).toBe("o200k_base");
  });
});

describe("the counter", () => {
  const text = "Counted exactly: tokenization, internationalization.";
  const chinese = TEXTS.Chinese ?? "";

  it("estimates until its thread is ready, then counts exactly, in the encoding of the model", async () => {
    const counter = tokenCounter();
    onTestFinished(() => counter.close());
    expect(counter.count([text], "gpt-4o")).toBe(estimateTokens([text]));
    for (const [model, table] of [["gpt-4o", o200k], ["gpt-4", cl100k]] as const) {
      const real = new BytePairs(table);
      const tokens = real.count(chinese) + real.count(text);
      expect(estimateTokens([chinese, text])).not.toBe(tokens);
      await eventually(async () => (await counter.count([chinese, text], model)) === tokens);
    }
  });

  it("counts a huge prompt by slices, within 5%", async () => {
    const thread = await readyThread({ deadlineMs: 60_000 });
    const counted = await countTokens([prose], "gpt-4o", thread);
    expect(Math.abs(counted / new BytePairs(o200k).count(prose) - 1)).toBeLessThan(0.05);
    expect(counted).not.toBe(estimateTokens([prose]));
  });

  it("goes on for the others when one is closed, and estimates once it is closed itself", async () => {
    const [one, other] = [tokenCounter(), tokenCounter()];
    onTestFinished(() => other.close());
    await eventually(() => other.count([text], "gpt-4o") instanceof Promise);
    one.close();
    one.close();
    expect(other.count([text], "gpt-4o")).toBeInstanceOf(Promise);
    expect(one.count([text], "gpt-4o")).toBe(estimateTokens([text]));
  });

  it("knows nothing without asking anybody", () => {
    expect(countTokens([""], undefined, { count: () => expect.unreachable() })).toBe(0);
  });
});

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "tokens-"))));
afterAll(() => rm(folder, { recursive: true }));

/** A thread that answers when it is asked to get ready, and does this with a question. */
async function threadThat(does: string): Promise<URL> {
  const file = join(folder, `${does.length}-${randomBytes(4).toString("hex")}.mjs`);
  await writeFile(file, `import { parentPort } from "node:worker_threads"; parentPort.on("message", ({ id, texts }) => { if (texts.length === 0) parentPort.postMessage({ id, tokens: 0 }); else { ${does} } });`);
  return pathToFileURL(file);
}

async function readyThread(options: CountingThreadOptions): Promise<CountingThread> {
  const thread = new CountingThread(options);
  onTestFinished(() => thread.end());
  await eventually(() => thread.count(["ready?"], "o200k_base") !== undefined);
  return thread;
}

describe("the thread", () => {
  it("is not waited for longer than the deadline", async () => {
    const thread = await readyThread({ file: await threadThat("").then((url) => () => url) });
    expect(await thread.count(["a question"], "o200k_base")).toBeUndefined();
    expect(await countTokens(["a question"], "gpt-4o", thread)).toBe(estimateTokens(["a question"]));
  });

  it("takes no more than a bounded amount of waiting text", async () => {
    const file = await threadThat("");
    const thread = await readyThread({ file: () => file });
    const taken = Array.from({ length: 20 }, () => thread.count(["x".repeat(30_000)], "o200k_base")).filter((counted) => counted !== undefined);
    expect(taken).toHaveLength(4);
    expect(await Promise.all(taken)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it.each([
    ["exits", "process.exit(1)"],
    ["throws", "throw new Error('broken')"],
    ["runs out of memory", "const all = []; for (;;) all.push(new Array(1e6).fill({}))"],
  ])("that %s loses no question, is warned of once, and is started again later", async (_how, does) => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    const file = await threadThat(does);
    let elapsedMs = 0;
    let started = 0;
    const clock = { ...systemClock, elapsed: () => elapsedMs, after: () => () => {} };
    const thread = await readyThread({ file: () => ((started += 1), file), clock });
    expect(await thread.count(["a question"], "o200k_base")).toBeUndefined();
    expect(thread.count(["a question"], "o200k_base")).toBeUndefined();
    expect(started).toBe(1);
    elapsedMs += 10_001;
    await eventually(() => thread.count(["a question"], "o200k_base") !== undefined);
    expect(started).toBe(2);
    await thread.count(["a question"], "o200k_base");
    expect(warned).toHaveBeenCalledTimes(1);
  }, 60_000);

  it("that has no file is warned of once, and nothing fails", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    const thread = new CountingThread({ file: () => pathToFileURL(join(folder, "absent.mjs")) });
    expect(thread.count(["a question"], "o200k_base")).toBeUndefined();
    await eventually(() => warned.mock.calls.length === 1);
    expect(thread.count(["a question"], "o200k_base")).toBeUndefined();
  });

  it("starts once, however often it is told to, and again when it is asked after its end", async () => {
    let started = 0;
    const file = await threadThat("parentPort.postMessage({ id, tokens: 7 })");
    const thread = new CountingThread({ file: () => ((started += 1), file) });
    for (let times = 0; times < 3; times += 1) thread.start("o200k_base");
    await eventually(async () => (await thread.count(["a question"], "o200k_base")) === 7);
    expect(started).toBe(1);
    thread.end();
    expect(thread.count(["a question"], "o200k_base")).toBeUndefined();
    await eventually(async () => (await thread.count(["a question"], "o200k_base")) === 7);
    expect(started).toBe(2);
  });
});
