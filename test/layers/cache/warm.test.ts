import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { createPerf, withPerf, type WarmReport } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { Gate, settle } from "../support/gate.ts";
import { end, life } from "../support/far.ts";
import { Numbered } from "../support/replies.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";
import { temporarySqlite } from "../support/temporary.ts";

const questions = (count: number): string[] => Array.from({ length: count }, (_, nth) => `q${nth}`);

describe("warming", () => {
  it("asks a target all questions, so that their answers are there before anybody asks, in every tier", async () => {
    const { address } = temporarySqlite();
    const one = life({ persistent: address });
    const model = new FakeChatModel();
    const chain = ChatPromptTemplate.fromTemplate("{question}").pipe(model).pipe(new StringOutputParser());
    const inputs = questions(20).map((question) => ({ question }));
    const report = await one.perf.cache.warm(chain, inputs);
    expect(report).toMatchObject({ done: 20, failed: 0, errors: [], aborted: false });
    expect(report.durationMs).toBeGreaterThan(0);
    await end(one);
    const other = life({ persistent: address, warmStart: false });
    await withPerf(chain, other.perf).batch(inputs);
    expect(other.found()).toEqual(inputs.map(() => "hit persistent"));
    expect(model.counts.chat).toBe(20);
  });

  it("asks a wrapped target the same, and what is known already not again", async () => {
    const perf = createPerf();
    const model = new Numbered();
    const fast = withPerf(model, perf);
    await fast.invoke("q1");
    await perf.cache.warm(fast, questions(3));
    await perf.cache.warm(fast, questions(3));
    expect(model.seen).toHaveLength(3);
  });

  it("asks so many at a time as it may, and tells how far it is", async () => {
    for (const [concurrency, expected] of [[undefined, 4], [1, 1], [7, 7]] as const) {
      let [running, most] = [0, 0];
      const model = new ScriptedChat({
        whole: async () => {
          most = Math.max(most, (running += 1));
          await settle();
          running -= 1;
          return textResult("a");
        },
      });
      const progress: [number, number | undefined][] = [];
      await createPerf().cache.warm(model, questions(10), { ...(concurrency ? { concurrency } : {}), onProgress: (done, total) => void progress.push([done, total]) });
      expect(most).toBe(expected);
      expect(progress).toEqual(questions(10).map((_, at) => [at + 1, 10]));
    }
  });

  it("takes questions as they come", async () => {
    const asked: number[] = [];
    async function* source(): AsyncGenerator<string> {
      for (const question of questions(6)) {
        asked.push(asked.length);
        yield question;
      }
    }
    const totals: unknown[] = [];
    const report = await createPerf().cache.warm(new Numbered(), source(), { concurrency: 2, onProgress: (_done, total) => void totals.push(total) });
    expect(report.done).toBe(6);
    expect(asked).toHaveLength(6);
    expect(totals).toEqual(questions(6).map(() => undefined));
    expect((await createPerf().cache.warm(new Numbered(), new Set(["a", "b"]))).done).toBe(2);
    expect((await createPerf().cache.warm(new Numbered(), [])).done).toBe(0);
  });

  it("counts the questions that fail and goes on, and shows the first ten", async () => {
    const model = new ScriptedChat({
      whole({ messages }) {
        if (Number(messages[0]!.text.slice(1)) % 2 === 1) throw new Error(`no ${messages[0]!.text}`);
        return textResult("a");
      },
    });
    const perf = createPerf();
    const report = await perf.cache.warm(model, questions(30));
    expect(report).toMatchObject({ done: 30, failed: 15, aborted: false });
    expect(report.errors).toHaveLength(10);
    expect(report.errors.slice(0, 2).map(({ index, error }) => [index, (error as Error).message])).toEqual([[1, "no q1"], [3, "no q3"]]);
    expect(perf.cache.stats().entries).toBe(15);
  });

  it("ends early with its signal: what is under way is finished, nothing more is begun", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async () => (await gate.promise, textResult("a")) });
    const warming = new AbortController();
    const report: Promise<WarmReport> = createPerf().cache.warm(model, questions(10), { concurrency: 3, signal: warming.signal });
    await settle();
    warming.abort();
    gate.open();
    expect(await report).toMatchObject({ done: 3, failed: 0, aborted: true });
    expect(model.seen).toHaveLength(3);
  });

  it("is no failure of its own when the source of questions breaks: it rejects", async () => {
    function* broken(): Generator<string> {
      yield "a";
      throw new Error("no more");
    }
    await expect(createPerf().cache.warm(new Numbered(), broken())).rejects.toThrow("no more");
  });

  it.each<[string, unknown[], string]>([
    ["no target", [undefined, ["a"]], "warm.target"],
    ["no list", [new Numbered(), 7], "warm.inputs"],
    ["a text for a list", [new Numbered(), "abc"], "warm.inputs"],
    ["no concurrency at all", [new Numbered(), [], { concurrency: 0 }], "warm.concurrency"],
    ["an unknown option", [new Numbered(), [], { parallel: 2 }], "warm.parallel"],
  ])("refuses %s", async (_name, args, option) => {
    const { cache } = createPerf();
    const failure: unknown = await (cache.warm as (...args: unknown[]) => Promise<unknown>).apply(cache, args).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "OptionError", option });
  });

  it("of a perf without a cache is refused", async () => {
    await expect(createPerf({ coalesce: true }).cache.warm(new Numbered(), ["a"])).rejects.toMatchObject({ name: "OptionError", option: "cache" });
  });
});
