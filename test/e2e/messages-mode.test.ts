import { createAgent } from "langchain";
import { createPerf, withPerf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { createFakeKit } from "../support/fakes/kit.ts";

describe("streamMode: messages", () => {
  // LangGraph's listener runs in the background and would lose what comes faster than it gets its turn.
  it("loses no message of many concurrent runs that are all hits", async () => {
    const kit = createFakeKit();
    const agent = withPerf(createAgent({ model: kit.chat({ reply: () => "the same answer" }), tools: [] }), createPerf());
    const ask = async (): Promise<string> => {
      const stream = await agent.stream({ messages: [{ role: "user", content: "hello" }] }, { streamMode: "messages" });
      const parts = (await Array.fromAsync(stream)) as unknown as [{ text: string }, unknown][];
      return parts.map(([message]) => message.text).join("");
    };
    expect(await ask()).toBe("the same answer");
    const answers = await Promise.all(Array.from({ length: 48 }, ask));
    expect(new Set(answers)).toEqual(new Set(["the same answer"]));
    expect(kit.counts.chat).toBe(1);
  });
});
