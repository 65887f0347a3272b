import { describe, expect, it } from "vitest";
import { OptionError, type FaultRule, type Simulator } from "langchain-perf/testing";
import { FaultBook } from "../../src/testing/faults.ts";
import { parseFault } from "../../src/testing/fault-rules.ts";
import { ask, chatModel, json, post, simulator, until } from "./support.ts";

/** The text received until the stream ended or broke. */
async function received(response: Response): Promise<{ text: string; broken: boolean }> {
  let text = "";
  try {
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) text += part;
    return { text, broken: false };
  } catch {
    return { text, broken: true };
  }
}

const chunksIn = (text: string): number => text.match(/"content":"[^"\n]+"/g)?.length ?? 0;

async function stream(provider: Simulator, fault: string): Promise<{ text: string; broken: boolean }> {
  return received(await ask(provider, "x", { model: "chunks-10", stream: true }, { headers: { "x-simulate-fault": fault } }));
}

describe("a fault", () => {
  it("status: answers with any status and headers", async () => {
    const provider = await simulator();
    const response = await ask(provider, "x", { model: "m+status=529,retry-after=7,header.x-shard=b,message=Busy" });
    expect([response.status, response.headers.get("retry-after"), response.headers.get("x-shard")]).toEqual([529, "7", "b"]);
    expect(await response.json()).toMatchObject({ error: { message: "Busy", type: "server_error" } });
    expect(provider.requests[0]).toMatchObject({ outcome: "failed", fault: "status", status: 529 });
  });

  it("status: reaches ChatOpenAI as the error of that status", async () => {
    const provider = await simulator({ faults: ["status=429", { kind: "status", status: 401, headers: { "x-a": "b" } }] });
    await expect(chatModel(provider).invoke("x")).rejects.toMatchObject({ status: 429 });
  });

  it("reset: breaks the connection before any header", async () => {
    const provider = await simulator();
    const error = await ask(provider, "x", { model: "m+reset" }).catch((reason: Error) => reason);
    expect((error as Error).cause).toMatchObject({ code: "ECONNRESET" });
    expect(provider.requests[0]).toMatchObject({ outcome: "failed", fault: "reset" });
    expect(provider.requests[0]!.status).toBeUndefined();
  });

  it("silent: sends nothing until the client gives up", async () => {
    const provider = await simulator();
    const leave = new AbortController();
    const answer = ask(provider, "x", { model: "m+silent" }, { signal: leave.signal });
    await until(() => provider.requests[0]?.fault === "silent");
    leave.abort();
    await expect(answer).rejects.toThrow("aborted");
    await until(() => provider.requests[0]!.outcome === "aborted");
    expect(provider.requests[0]!.status).toBeUndefined();
  });

  it("slow: the first token comes later, and all is well", async () => {
    const provider = await simulator();
    const { text } = await stream(provider, "slow=60");
    expect(chunksIn(text)).toBe(10);
    expect(provider.requests[0]).toMatchObject({ outcome: "completed", fault: "slow" });
    expect(provider.requests[0]!.ttftMs).toBeGreaterThanOrEqual(58);
  });

  it("cut: the connection breaks after so many chunks", async () => {
    const provider = await simulator();
    const { text, broken } = await stream(provider, "cut=4");
    expect([chunksIn(text), broken]).toEqual([4, true]);
    await expect((async () => { for await (const _part of await chatModel(provider, { model: "chunks-10+cut=2" }).stream("x")); })()).rejects.toThrow("terminated");
  });

  it("end: the server ends politely after so many chunks, which a client takes for success", async () => {
    const provider = await simulator();
    const { text, broken } = await stream(provider, "end=4");
    expect([chunksIn(text), broken, text.includes("[DONE]")]).toEqual([4, false, false]);
    const reasons: unknown[] = [];
    for await (const chunk of await chatModel(provider, { model: "chunks-10+end=2" }).stream("x")) reasons.push(chunk.response_metadata.finish_reason);
    expect(reasons.filter(Boolean)).toEqual([]);
  });

  it("stall: nothing more comes after so many chunks, until the client leaves", async () => {
    const provider = await simulator({ capacity: 1 });
    const leave = new AbortController();
    const response = await ask(provider, "x", { model: "chunks-10+stall=4", stream: true }, { signal: leave.signal });
    const reading = received(response);
    await until(() => provider.requests[0]!.ttftMs !== undefined);
    expect(provider.load.active).toBe(1);
    leave.abort();
    expect(await reading).toMatchObject({ broken: true });
    await until(() => provider.load.active === 0);
    expect(provider.requests[0]).toMatchObject({ outcome: "aborted", fault: "stall", status: 200 });
  });

  it("malformed: a chunk is no JSON", async () => {
    const provider = await simulator();
    const { text } = await stream(provider, "malformed=2");
    expect(() => text.split("\n\n").filter(Boolean).map((event) => event.slice(6)).filter((data) => data !== "[DONE]").forEach((data) => JSON.parse(data))).toThrow(SyntaxError);
    expect(chunksIn(text)).toBe(10);
  });

  it("no-done: only the event that closes the stream is missing", async () => {
    const provider = await simulator();
    const { text, broken } = await stream(provider, "no-done");
    expect([chunksIn(text), broken, text.includes("[DONE]"), text.includes('"finish_reason":"stop"')]).toEqual([10, false, false, true]);
    const init = { headers: { "x-simulate-fault": "no-done" } };
    const anthropic = await post(`${provider.url}/v1/messages`, { model: "c", max_tokens: 9, stream: true, messages: [{ role: "user", content: "x" }] }, init);
    expect(await anthropic.text()).toMatch(/message_delta(?!.*message_stop)/s);
    const responses = await post(`${provider.baseURL}/responses`, { model: "c", input: "x", stream: true }, init);
    expect(await responses.text()).toMatch(/output_item.done(?!.*response.completed)/s);
  });

  it("content-type: the answer is a page", async () => {
    const response = await ask(await simulator(), "x", { model: "m+content-type", stream: true });
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html"]);
    const plain = await ask(await simulator(), "x", { model: "m+content-type=text/plain" });
    expect(plain.headers.get("content-type")).toBe("text/plain");
  });

  it("error-event: an error comes in the middle of the stream", async () => {
    const provider = await simulator();
    const { text } = await stream(provider, "error-event=3,message=Overheated");
    expect(chunksIn(text)).toBe(3);
    expect(text).toContain('"message":"Overheated"');
    await expect((async () => { for await (const _part of await chatModel(provider, { model: "chunks-10+error-event=1" }).stream("x")); })()).rejects.toThrow(/middle of the answer/);
    const responses = chatModel(provider, { model: "chunks-10+error-event=1", useResponsesApi: true });
    await expect((async () => { for await (const _part of await responses.stream("x")); })()).rejects.toThrow(/middle of the answer/);
  });

  it.each(["cut", "end", "malformed"])("%s: spoils a plain answer too", async (fault) => {
    const response = await ask(await simulator(), "x", { model: `m+${fault}` });
    await expect(response.json()).rejects.toThrow();
  });

  it("error-event: of a plain answer is a 500", async () => {
    expect((await ask(await simulator(), "x", { model: "m+error-event" })).status).toBe(500);
  });

  it("that comes after the last chunk leaves out what closes the stream", async () => {
    const { text } = await stream(await simulator(), "end=50");
    expect([chunksIn(text), text.includes("finish_reason\":\"stop")]).toEqual([10, false]);
  });
});

describe("a rule", () => {
  it("strikes so many times, for one model and path, until it is undone", async () => {
    const provider = await simulator();
    const undo = provider.fault({ kind: "status", status: 503, model: "a", path: "/chat/completions", times: 2 });
    const statuses: number[] = [];
    for (const model of ["b", "a", "a", "a"]) statuses.push((await ask(provider, "x", { model })).status);
    expect(statuses).toEqual([200, 503, 503, 200]);
    undo();
    const forever = provider.fault("status=418");
    expect((await ask(provider, "x")).status).toBe(418);
    forever();
    expect((await ask(provider, "x")).status).toBe(200);
  });

  it("in a model's name or a header counts over requests", async () => {
    const provider = await simulator();
    const statuses: number[] = [];
    for (let at = 0; at < 3; at++) statuses.push((await ask(provider, "x", { model: "m+status=500,times=1" })).status);
    expect(statuses).toEqual([500, 200, 200]);
  });

  it("that cannot be read is refused with 400 and says why", async () => {
    const response = await ask(await simulator(), "x", { model: "m+stal" });
    expect(response.status).toBe(400);
    expect((await json(response)).error.message).toContain("status, reset, silent");
  });

  it("with a probability strikes its share, the same requests for the same seed", async () => {
    const run = async (seed: number): Promise<number[]> => {
      const provider = await simulator({ seed, faults: ["status=500,probability=0.3"] });
      const statuses: number[] = [];
      for (let at = 0; at < 200; at++) statuses.push((await ask(provider, "x")).status);
      return statuses;
    };
    const [first, again, other] = [await run(1), await run(1), await run(2)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    const struck = first.filter((status) => status === 500).length;
    expect(struck).toBeGreaterThan(40);
    expect(struck).toBeLessThan(80);
  });

  it("flaps: on for a time, off for a time", () => {
    let now = 1_000;
    const book = new FaultBook(() => 0, () => now);
    book.add("reset,on=100,off=50");
    const struckAt = [0, 99, 100, 149, 150, 249, 250].map((after) => {
      now = 1_000 + after;
      return book.strike({ model: "m", path: "/x" }) !== undefined;
    });
    expect(struckAt).toEqual([true, true, false, false, true, true, false]);
  });
});

describe("the grammar", () => {
  it.each<[string, FaultRule]>([
    ["reset", { kind: "reset" }],
    ["slow=250, times=2", { kind: "slow", delayMs: 250, times: 2 }],
    ["stall=0,model=a,path=/embeddings", { kind: "stall", afterChunks: 0, model: "a", path: "/embeddings" }],
    ["status=429,retry-after-ms=10,header.x-a=b=c", { kind: "status", status: 429, headers: { "retry-after-ms": "10", "x-a": "b=c" } }],
    ["content-type=text/plain,probability=0.5,on=1,off=2", { kind: "content-type", contentType: "text/plain", probability: 0.5, onMs: 1, offMs: 2 }],
  ])("reads %s", (text, rule) => {
    expect(parseFault(text, "fault")).toEqual(rule);
  });

  it.each(["", "explode", "reset=1", "status=abc", "status=99", "cut=-1", "cut,often", "cut,often=1", "cut,probability=2", "cut,times=0", "cut,on=5", "status,header.a b=c"])("refuses %j", (text) => {
    expect(() => parseFault(text, "fault")).toThrow(OptionError);
  });
});
