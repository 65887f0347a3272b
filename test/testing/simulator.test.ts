import { describe, expect, it } from "vitest";
import { createSimulator, OptionError, type SimulatorOptions } from "langchain-perf/testing";
import { ask, chatModel, json, post, simulator } from "./support.ts";

describe("options", () => {
  it.each<[string, unknown]>([
    ["port", { port: 70_000 }],
    ["host", { host: "" }],
    ["speed", { speed: 0 }],
    ["seed", { seed: 1.5 }],
    ["latency", { latency: "warp" }],
    ["latency", { latency: 5 }],
    ["latency.ttftMs", { latency: { ttftMs: -1, interTokenMs: 1 } }],
    ["latency.interTokenMs", { latency: { ttftMs: 1 } }],
    ["latency.sdMs", { latency: { meanMs: 1, ttftMs: 1 } }],
    ["latency.jitter", { latency: { ttftMs: 1, interTokenMs: 1, jitter: 1 } }],
    ["capacity.concurrency", { capacity: 0 }],
    ["capacity.fullStatus", { capacity: { fullStatus: 500 } }],
    ["capacity.queue", { capacity: { queue: 1 } }],
    ["limits.requestsPerMinute", { limits: { requestsPerMinute: "many" } }],
    ["limits.rpm", { limits: { rpm: 1 } }],
    ["promptCache", { promptCache: 5 }],
    ["promptCache.blockTokens", { promptCache: { blockTokens: 0 } }],
    ["faults", { faults: "reset" }],
    ["faults[1]", { faults: ["reset", "explode"] }],
    ["faults[0].kind", { faults: [{ kind: "explode" }] }],
    ["faults[0].headers", { faults: [{ kind: "status", headers: { a: 1 } }] }],
    ["faults[0].status", { faults: [{ kind: "status", status: 99 }] }],
    ["digestInText", { digestInText: "yes" }],
    ["logSize", { logSize: 0 }],
    ["latencyMs", { latencyMs: 1 }],
  ])("that are wrong are named: %s", async (option, options) => {
    const error = await createSimulator(options as SimulatorOptions).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as OptionError).option).toBe(option);
  });

  it("that are undefined are absent", async () => {
    const provider = await simulator({ port: undefined, latency: undefined, capacity: undefined, limits: undefined, faults: undefined, promptCache: undefined });
    expect((await ask(provider, "x")).status).toBe(200);
  });

  it("name a port that is taken", async () => {
    const { url } = await simulator();
    await expect(createSimulator({ port: Number(new URL(url).port) })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

describe("digests", () => {
  const base = { model: "m", temperature: 0.5, messages: [{ role: "user", content: "x" }] };

  it("are the same for the same request, streamed or not, in any order of its parameters", async () => {
    const { baseURL } = await simulator();
    const bodies = [base, { ...base, stream: true, stream_options: { include_usage: true } }, { messages: base.messages, model: "m", temperature: 0.5 }];
    const digests = await Promise.all(bodies.map(async (body) => (await post(`${baseURL}/chat/completions`, body)).headers.get("x-request-digest")));
    expect(new Set(digests).size).toBe(1);
    expect(digests[0]).toMatch(/^[0-9a-f]{12}$/);
  });

  it("differ by whatever else the provider sees", async () => {
    const { baseURL, url } = await simulator();
    const schema = (keys: string[]): object => ({ type: "json_schema", json_schema: { name: "s", schema: { type: "object", properties: Object.fromEntries(keys.map((key) => [key, { type: "string" }])) } } });
    const requests: [string, object, RequestInit?][] = [
      ["/v1/chat/completions", base],
      ["/v1/chat/completions", { ...base, temperature: 0.6 }],
      ["/v1/chat/completions", { ...base, seed: 1 }],
      ["/v1/chat/completions", { ...base, user: "ada" }],
      ["/v1/chat/completions", { ...base, model: "n" }],
      ["/v1/chat/completions", { ...base, messages: [{ role: "user", content: "x", name: "ada" }] }],
      ["/v1/chat/completions", { ...base, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:a" } }] }] }],
      ["/v1/chat/completions", { ...base, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:b" } }] }] }],
      ["/v1/chat/completions", { ...base, response_format: schema(["a", "b"]) }],
      ["/v1/chat/completions", { ...base, response_format: schema(["b", "a"]) }],
      ["/v1/chat/completions", base, { headers: { "openai-organization": "org" } }],
      ["/chat/completions", base],
      ["/v1/embeddings", { model: "m", input: "x" }],
      ["/v1/embeddings", { model: "m", input: "x", input_type: "query" }],
    ];
    const digests = await Promise.all(requests.map(async ([path, body, init]) => (await post(`${baseURL.replace(/\/v1$/, "")}${path}`, body, init)).headers.get("x-request-digest")));
    expect(new Set(digests).size).toBe(requests.length);
    expect(url).toBe(baseURL.replace(/\/v1$/, ""));
  });

  it("can end every text", async () => {
    const provider = await simulator({ digestInText: true });
    const texts = [(await chatModel(provider).invoke("Hello")).content, (await chatModel(provider, { useResponsesApi: true }).invoke("Hello")).text];
    expect(texts).toEqual(provider.requests.map(({ digest }) => `Hello! How can I help you today? [#${digest}]`));
  });
});

describe("the log", () => {
  it("has a line for every request", async () => {
    const provider = await simulator({ recordBodies: true });
    await ask(provider, "Hello", { stream: true }, {});
    expect(provider.requests).toEqual([
      {
        ordinal: 1, time: expect.any(Number), path: "/v1/chat/completions", model: "gpt-4o-mini", digest: expect.any(String), stream: true, status: 200,
        promptTokens: expect.any(Number), completionTokens: 9, cachedTokens: 0, queuedMs: expect.any(Number), ttftMs: expect.any(Number), durationMs: expect.any(Number),
        outcome: "completed", body: expect.objectContaining({ model: "gpt-4o-mini" }),
      },
    ]);
  });

  it("keeps the newest and counts all", async () => {
    const provider = await simulator({ logSize: 5 });
    for (let at = 0; at < 40; at++) await ask(provider, "x", { model: `m${at}` });
    expect(provider.requests.map(({ model }) => model)).toEqual(["m35", "m36", "m37", "m38", "m39"]);
    expect([provider.count(), provider.count({ model: "m39" }), provider.count((request) => request.ordinal > 38), provider.count({ model: undefined })]).toEqual([40, 1, 2, 5]);
  });
});

describe("the control API", () => {
  it("serves and empties the log, by filters", async () => {
    const provider = await simulator();
    await ask(provider, "x", { model: "a" });
    await ask(provider, "x", { model: "b+status=500" });
    const requests = `${provider.url}/_control/requests`;
    expect(await json(fetch(`${requests}?outcome=failed&limit=1`))).toMatchObject({ total: 2, matching: 1, load: { active: 0 }, requests: [{ model: "b+status=500", status: 500 }] });
    expect(await json(fetch(`${requests}?limit=1`))).toMatchObject({ matching: 2, requests: [{ model: "b+status=500" }] });
    expect((await fetch(`${requests}?limit=0`)).status).toBe(400);
    await fetch(requests, { method: "DELETE" });
    expect(provider.count()).toBe(0);
  });

  it("adds, lists and removes faults", async () => {
    const provider = await simulator();
    const faults = `${provider.url}/_control/faults`;
    const { id } = await json(post(faults, { fault: "status=503,times=2" }));
    await post(faults, { kind: "reset", model: "nobody" });
    expect((await ask(provider, "x")).status).toBe(503);
    expect(await json(fetch(faults))).toEqual({ faults: [{ id, rule: { kind: "status", status: 503, times: 2 }, timesLeft: 1 }, { id: id + 1, rule: { kind: "reset", model: "nobody" }, timesLeft: null }] });
    expect(await json(fetch(`${faults}/${id}`, { method: "DELETE" }))).toEqual({ removed: true });
    expect((await ask(provider, "x")).status).toBe(200);
    await fetch(faults, { method: "DELETE" });
    expect(await json(fetch(faults))).toEqual({ faults: [] });
    expect((await post(faults, { fault: "explode" })).status).toBe(400);
    expect((await post(faults, { kind: "explode" })).status).toBe(400);
  });

  it("goes back to the start, and knows nothing else", async () => {
    const provider = await simulator({ limits: { requestsPerMinute: 2 }, faults: ["status=500,times=1"] });
    const statuses = async (): Promise<number[]> => [(await ask(provider, "x")).status, (await ask(provider, "x")).status, (await ask(provider, "x")).status, (await ask(provider, "x")).status];
    expect(await statuses()).toEqual([500, 200, 200, 429]);
    await fetch(`${provider.url}/_control/reset`, { method: "POST" });
    expect(await statuses()).toEqual([500, 200, 200, 429]);
    expect(provider.count()).toBe(4);
    expect((await fetch(`${provider.url}/_control/nothing`)).status).toBe(404);
  });
});

describe("closing", () => {
  it("frees the port at once, whatever is open", async () => {
    const provider = await createSimulator();
    const open = ask(provider, "x", { model: "m+silent" }).catch((error: Error) => error);
    while (provider.count() === 0) await new Promise((resolve) => setImmediate(resolve));
    await provider.close();
    expect(await open).toBeInstanceOf(Error);
    await using again = await createSimulator({ port: Number(new URL(provider.url).port) });
    expect(again.url).toBe(provider.url);
  });

  it("listens on IPv6 too", async () => {
    const provider = await simulator({ host: "::1" });
    expect(provider.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await ask(provider, "x")).status).toBe(200);
  });
});
