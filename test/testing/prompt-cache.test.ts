import { describe, expect, it } from "vitest";
import { PromptCache } from "../../src/testing/prompt-cache.ts";
import { ask, chatModel, json, post, simulator } from "./support.ts";

const LONG = Array.from({ length: 800 }, (_, at) => `Rule ${at}.`).join(" ");

describe("provider-side prompt caching", () => {
  it("reports the tokens of a prefix that was sent before, in whole blocks", async () => {
    const provider = await simulator();
    const model = chatModel(provider);
    const cached = async (question: string): Promise<number> => (await model.invoke([["system", LONG], ["user", question]])).usage_metadata!.input_token_details!.cache_read!;
    expect(await cached("How tall is the tower?")).toBe(0);
    const second = await cached("Who is there?");
    expect(second).toBeGreaterThanOrEqual(1_024);
    expect(second % 128).toBe(0);
    expect(provider.requests[1]).toMatchObject({ cachedTokens: second });
    expect(provider.requests[1]!.promptTokens! - second).toBeLessThan(256);
  });

  it("is apart for each model, leaves short prompts alone, and can be off or smaller", async () => {
    const provider = await simulator();
    const cached = async (from: typeof provider, content: string, model: string): Promise<number> => {
      await ask(from, content, { model });
      return from.requests.at(-1)!.cachedTokens!;
    };
    await cached(provider, LONG, "a");
    expect(await cached(provider, LONG, "b")).toBe(0);
    await cached(provider, "short", "a");
    expect(await cached(provider, "short", "a")).toBe(0);
    const off = await simulator({ promptCache: false });
    await cached(off, LONG, "a");
    expect(await cached(off, LONG, "a")).toBe(0);
    const small = await simulator({ promptCache: { minTokens: 16, blockTokens: 8 } });
    await cached(small, LONG.slice(0, 100), "a");
    expect(await cached(small, LONG.slice(0, 100), "a")).toBeGreaterThanOrEqual(16);
  });

  it("is reported by Anthropic's names", async () => {
    const { url } = await simulator();
    const body = { model: "claude", max_tokens: 10, system: LONG, messages: [{ role: "user", content: "Hello" }] };
    await post(`${url}/v1/messages`, body);
    const { usage } = await json(post(`${url}/v1/messages`, body));
    expect(usage.cache_read_input_tokens).toBeGreaterThanOrEqual(1_024);
    expect(usage.input_tokens).toBeLessThan(256);
  });

  it("makes the first token come sooner", async () => {
    const provider = await simulator({ latency: { ttftMs: 300, interTokenMs: 0 } });
    await ask(provider, LONG, { stream: true });
    await ask(provider, LONG, { stream: true });
    const [first, second] = provider.requests;
    expect(first!.ttftMs).toBeGreaterThanOrEqual(298);
    expect(second!.cachedTokens).toBeGreaterThan(1_024);
    expect(second!.ttftMs).toBeLessThan(first!.ttftMs!);
  });

  it("counts only from the start: a change in the first block hides the rest", () => {
    const cache = new PromptCache({ minTokens: 8, blockTokens: 8 });
    const prompt = "abcdefgh".repeat(40);
    expect(cache.read("m", prompt)).toBe(0);
    expect(cache.read("m", prompt)).toBe(80);
    expect(cache.read("m", `${prompt.slice(0, 160)}${"x".repeat(160)}`)).toBe(40);
    expect(cache.read("m", `x${prompt.slice(1)}`)).toBe(0);
    cache.clear();
    expect(cache.read("m", prompt)).toBe(0);
  });

  it("holds so many blocks, and forgets those used least recently", async () => {
    const cache = new PromptCache({ minTokens: 8, blockTokens: 8, maxBlocks: 10 });
    const [one, two, three] = ["a", "b", "c"].map((letter) => letter.repeat(160)) as [string, string, string];
    cache.read("m", one);
    cache.read("m", two);
    expect(cache.read("m", one)).toBe(40);
    cache.read("m", three);
    expect(cache.read("m", one)).toBe(40);
    expect(cache.read("m", two)).toBe(0);
    await expect(simulator({ promptCache: { maxBlocks: 0 } })).rejects.toThrow('"promptCache.maxBlocks"');
  });
});
