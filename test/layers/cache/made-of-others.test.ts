import { withPerf } from "langchain-perf";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { listening } from "../support/listening.ts";
import { Numbered } from "../support/replies.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

const statuses = (facts: readonly { kind: string; background?: boolean; cache?: { status: string } }[], kind: string): (string | undefined)[] =>
  facts.filter((call) => call.kind === kind && !call.background).map(({ cache }) => cache?.status);

it("a function's result is kept when the answers that it is made of are", async () => {
  const { perf, facts } = listening();
  const model = new Numbered();
  const work = perf.cached("work", async () => (await model.invoke("q")).text);
  expect([await work(), await work()]).toEqual(["answer 1", "answer 1"]);
  expect(statuses(facts, "function")).toEqual(["miss", "hit"]);
});

it.each(["content_filter", "incomplete"])("a function's result is not kept when an answer inside ended by %s, nor is that of a function around it", async (reason) => {
  const { perf, facts } = listening();
  const model = new ScriptedChat({ whole: async (_call, nth) => (nth === 1 ? textResult("cut", { finish_reason: reason }) : textResult("whole")) });
  const inner = perf.cached("inner", async () => (await model.invoke("q")).text);
  const outer = perf.cached("outer", async () => `<${await inner()}>`);
  expect([await outer(), await outer(), await outer()]).toEqual(["<cut>", "<whole>", "<whole>"]);
  expect(statuses(facts, "function")).toEqual(["miss", "miss", "miss", "miss", "hit"]);
});

it("a function's result is not kept when an answer inside was past its time", async () => {
  const { perf, facts } = listening({ cache: { ttlMs: 1_000, staleMs: 60_000 }, coalesce: true });
  const model = withPerf(new Numbered(), perf);
  await model.invoke("q");
  vi.setSystemTime(Date.now() + 2_000);
  const work = perf.cached("work", async () => (await model.invoke("q")).text);
  expect(await work()).toBe("answer 1");
  await perf.flush();
  expect(await work()).toBe("answer 2");
  expect(statuses(facts, "function")).toEqual(["miss", "miss"]);
});
