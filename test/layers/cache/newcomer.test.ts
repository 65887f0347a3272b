import { withPerf } from "langchain-perf";
import { afterAll, expect, it } from "vitest";
import { eventually } from "../../support/services.ts";
import { end, endRedis, farTier, life } from "../support/far.ts";
import { Gate } from "../support/gate.ts";
import { Numbered, wishing } from "../support/replies.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

afterAll(endRedis);

it("a process that has just begun finds what was stored after an invalidation of which it hears only now", async () => {
  const cache = await farTier("redis");
  const model = new Numbered();
  const before = life(cache);
  const tagged = wishing({ tags: ["x"] });
  await withPerf(model, before.perf).invoke("q", tagged);
  expect(await before.perf.cache.invalidate({ tags: ["x"] })).toBe(1);
  await withPerf(model, before.perf).invoke("q", tagged);
  await end(before);
  for (let time = 0; time < 10; time += 1) {
    const after = life(cache);
    expect((await withPerf(model, after.perf).invoke("q", tagged)).text).toBe("answer 2");
    await end(after);
  }
});

it("a process that has just begun keeps its first answer, though the cache was cleared long ago", async () => {
  const cache = await farTier("redis");
  const owner = life(cache);
  await withPerf(new Numbered(), owner.perf).invoke("something");
  await owner.perf.cache.clear();
  await end(owner);
  const gate = new Gate();
  const slow = new ScriptedChat({ whole: async (_call, nth) => (await gate.promise, textResult(`answer ${nth}`)) });
  const script = life(cache);
  const asked = withPerf(slow, script.perf).invoke("q");
  await eventually(() => slow.seen.length === 1);
  await script.perf.flush();
  gate.open();
  await asked;
  await end(script);
  const again = life(cache);
  await withPerf(slow, again.perf).invoke("q");
  expect(again.found()).toEqual(["hit redis"]);
});
