import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OptionError, withPerf, type PerfOptions } from "langchain-perf";
import { describe, expect, it, vi } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { Gate } from "../../layers/support/gate.ts";
import { ScriptedChat, textResult } from "../../layers/support/scripted-chat.ts";
import { listeningPerf } from "./providers.ts";

/** A model that answers with its deployment's name, and can be held up. */
function named(text: string, held?: Gate): ScriptedChat {
  return new ScriptedChat({ whole: async () => (await held?.promise, textResult(text)) });
}

const ids = ({ perf }: ReturnType<typeof listeningPerf>): string[] => perf.deployments().map(({ id }) => id);

describe("what reconfigure() does not name", () => {
  it("are deployments that were added, drained ones, and the quotas of either", async () => {
    const held = new Gate();
    const c = named("c", held);
    const open = listeningPerf({ rateLimit: { maxConcurrent: 50 }, routing: { deployments: [{ id: "a", model: named("a") }, { id: "b", model: named("b") }] } });
    const { perf } = open;
    perf.addDeployment({ id: "c", model: c, maxConcurrent: 1 });
    await Promise.all([perf.drainDeployment("a"), perf.drainDeployment("b")]);
    for (const changes of [{ retry: { maxRetries: 1 } }, { cache: true }, { timeouts: { totalMs: 60_000 } }, { pricing: { other: { input: 1, output: 1 } } }] as PerfOptions[]) await perf.reconfigure(changes);
    expect(ids(open)).toEqual(["c"]);
    const asking = [1, 2, 3].map((at) => withPerf(named("asked"), perf).invoke(`question ${at}`));
    await vi.waitUntil(() => c.seen.length === 1, { interval: 1 });
    held.open();
    expect((await Promise.all(asking)).map(({ text }) => text)).toEqual(["c", "c", "c"]);
  });

  it("are what the cache holds and what limits have counted", async () => {
    const { perf, calls } = listeningPerf({ cache: true, rateLimit: { requestsPerMinute: 1, maxWaitMs: 0 } });
    const fast = withPerf(named("a"), perf);
    await fast.invoke("known");
    await perf.reconfigure({ coalesce: true });
    await perf.reconfigure({ pricing: { other: { input: 1, output: 1 } }, timeouts: { totalMs: 60_000 } });
    await fast.invoke("known");
    expect(calls.map(({ cache }) => cache?.status)).toEqual(["miss", "hit"]);
    expect(await errorOf(fast.invoke("new"))).toMatchObject({ code: "PERF_DEADLINE" });
  });

  it("is what a strategy has learned", async () => {
    const models = ["a", "b", "c"].map((id) => ({ id, model: named(id) }));
    const { perf, calls } = listeningPerf({ routing: { strategy: "prefix-affinity", deployments: models } });
    const prompt = "the same long prompt ".repeat(400);
    const ask = (): Promise<unknown> => withPerf(named("asked"), perf).invoke(prompt);
    await ask();
    for (let change = 0; change < 5; change += 1) {
      await perf.reconfigure({ timeouts: { totalMs: 60_000 + change } });
      await ask();
    }
    expect(new Set(calls.map(({ deployment }) => deployment)).size).toBe(1);
  });
});

describe("a call that runs through several changes", () => {
  it("ends with the cache that it began with, which is open for it", async () => {
    const held = new Gate();
    const model = named("late", held);
    const file = join(mkdtempSync(join(tmpdir(), "reconfigure-")), "perf.db");
    const { perf } = listeningPerf({ cache: { persistent: `sqlite:${file}`, kinds: { chat: { id: "model" } } } });
    const late = withPerf(model, perf).invoke("x");
    await vi.waitUntil(() => model.seen.length === 1, { interval: 1 });
    await perf.reconfigure({ timeouts: { totalMs: 60_000 } });
    await perf.reconfigure({ cache: { memory: true } });
    held.open();
    await late;
    await perf.close();
    const again = listeningPerf({ cache: { persistent: `sqlite:${file}`, kinds: { chat: { id: "model" } } } });
    const asked = named("asked again");
    await withPerf(asked, again.perf).invoke("x");
    expect([again.calls.at(-1)?.cache?.status, asked.seen.length]).toEqual(["hit", 0]);
  });

  it("has the price of a deployment that is gone when it ends", async () => {
    const held = new Gate();
    const model = new ScriptedChat({
      whole: async () => {
        await held.promise;
        const result = textResult("late");
        Object.assign(result.generations[0]!.message, { usage_metadata: { input_tokens: 1_000_000, output_tokens: 0, total_tokens: 1_000_000 } });
        return result;
      },
    });
    const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "gone", model, price: { input: 2, output: 2 } }] } });
    const late = withPerf(named("asked"), perf).invoke("x");
    await vi.waitUntil(() => model.seen.length === 1, { interval: 1 });
    await perf.reconfigure({ routing: { deployments: [{ id: "new", model: named("new") }] } });
    held.open();
    await late;
    expect(calls.map(({ deployment, costUsd }) => [deployment, costUsd])).toEqual([["gone", 2]]);
  });
});

it("changes that are wrong change nothing, and open nothing", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "reconfigure-")), "perf.db");
  const open = listeningPerf({ routing: { deployments: [{ id: "a", model: named("a"), maxConcurrent: 1 }] } });
  for (const wrong of [{ rateLimit: { budgetUsdPerHour: 1 } }, { rateLimit: { shared: 7 as never } }, { retry: { maxRetries: -1 } }, { routing: { deployments: [] } }] as PerfOptions[]) {
    expect(await errorOf(open.perf.reconfigure({ cache: { persistent: `sqlite:${file}` }, ...wrong }))).toBeInstanceOf(OptionError);
  }
  expect([existsSync(file), ids(open), open.perf.deployments()[0]?.quotaLeft]).toEqual([false, ["a"], 1]);
});

it("a deployment that is drained and added again has the quota that it is added with", async () => {
  const held = new Gate();
  const model = named("a", held);
  const { perf } = listeningPerf({ routing: { deployments: [{ id: "a", model, maxConcurrent: 1 }] } });
  await perf.drainDeployment("a");
  perf.addDeployment({ id: "a", model });
  const asking = [1, 2, 3].map((at) => withPerf(named("asked"), perf).invoke(`question ${at}`));
  await vi.waitUntil(() => model.seen.length === 3, { interval: 1 });
  held.open();
  await Promise.all(asking);
  expect(await errorOf(perf.drainDeployment("nobody"))).toBeInstanceOf(OptionError);
});
