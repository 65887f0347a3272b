import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ChatOpenAI } from "@langchain/openai";
import { withPerf } from "langchain-perf";
import { type OpenAIStub, startOpenAIStub } from "../support/fakes/openai-stub.ts";
import { allOf } from "./fixtures/ways.ts";

describe("message ids of a provider that gives its own", () => {
  let stub: OpenAIStub;
  beforeAll(async () => {
    stub = await startOpenAIStub();
  });
  afterAll(() => stub.close());
  const model = (): ChatOpenAI => withPerf(new ChatOpenAI({ apiKey: "none", model: "gpt-test", configuration: { baseURL: stub.baseURL } }));

  it("are present and new on a hit, without any callback", async () => {
    const fast = model();
    const ids = [await fast.invoke("Hello"), await fast.invoke("Hello"), await fast.invoke("Hello")].map(({ id }) => id);
    expect(ids.every((id) => typeof id === "string" && id !== "")).toBe(true);
    expect(new Set(ids).size).toBe(3);
  });

  it("are one per streamed answer", async () => {
    const fast = model();
    const streams = [await allOf(fast.stream("Hello")), await allOf(fast.stream("Hello"))];
    // OpenAI's last chunk, which brings the usage, has no id of its own.
    const ids = streams.map((chunks) => chunks.slice(0, -1).map(({ id }) => id));
    for (const each of ids) {
      expect(new Set(each).size).toBe(1);
      expect(each[0]).toEqual(expect.any(String));
    }
    expect(ids[0]?.[0]).not.toBe(ids[1]?.[0]);
  });
});
