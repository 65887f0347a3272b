import type { AIMessage, BaseMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { createAgent } from "langchain";
import { withPerf, type NoDeploymentError } from "langchain-perf";
import type { Simulator } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { APIS, askedOf, listeningPerf, quiet, simulator, type Api } from "./providers.ts";

const MODELS = { OpenAI: "gpt-4o-mini", "OpenAI's responses API": "gpt-4o", Anthropic: "claude-sonnet-4-5" } as const;
const pairs = (Object.keys(APIS) as Api[]).flatMap((first) => (Object.keys(APIS) as Api[]).filter((second) => second !== first).map((second) => [first, second] as const));

/** A tool in whose run the provider that asked for it goes down. */
function weatherThatBreaks(provider: Simulator) {
  const weather = ({ city }: { city: string }): string => {
    provider.fault("status=503");
    return `Rain in ${city}.`;
  };
  return tool(weather, { name: "get_weather", description: "Get the current weather for a city", schema: z.object({ city: z.string().describe("The city") }) });
}

interface Agent {
  invoke(input: object): Promise<{ messages: BaseMessage[] }>;
  stream(input: object, options: object): Promise<AsyncIterable<{ messages: BaseMessage[] }>>;
}

const RUNS = {
  invoke: async (agent: Agent, input: object) => (await agent.invoke(input)).messages,
  stream: async (agent: Agent, input: object) => (await Array.fromAsync(await agent.stream(input, { streamMode: "values" }))).at(-1)?.messages ?? [],
};

describe.each(pairs)("an agent of %s whose second call goes to %s", (first, second) => {
  it.each(Object.keys(RUNS) as (keyof typeof RUNS)[])("has the tool's result in its answer, by %s", async (run) => {
    const [failing, sound] = [await simulator(), await simulator({ recordBodies: true })];
    const model = APIS[first](failing, MODELS[first]);
    const { perf, calls } = listeningPerf({
      routing: { strategy: "round-robin", deployments: [{ id: "first", model }, { id: "second", model: APIS[second](sound, MODELS[second]), priority: 1 }] },
      timeouts: { firstTokenMs: 10_000 },
    });
    const agent = withPerf(createAgent({ model, tools: [weatherThatBreaks(failing)] }), perf) as unknown as Agent;
    const messages = await RUNS[run](agent, { messages: [{ role: "user", content: "What is the weather in Oslo?" }] });

    const [, asking, result, answer] = messages as [BaseMessage, AIMessage, ToolMessage, AIMessage];
    expect(messages).toHaveLength(4);
    expect(asking.tool_calls).toMatchObject([{ name: "get_weather", args: { city: "Oslo" } }]);
    expect([result.text, result.status, result.tool_call_id]).toEqual(["Rain in Oslo.", "success", asking.tool_calls?.[0]?.id]);
    expect([answer.text, answer.tool_calls]).toEqual(["Rain in Oslo.", []]);
    expect(calls.map(askedOf)).toEqual([["first"], ["first overloaded", "second"]]);
    expect(calls.map(({ deployment, requestedModel, model: answerer }) => [deployment, requestedModel, answerer])).toEqual([
      ["first", undefined, MODELS[first]],
      ["second", MODELS[first], MODELS[second]],
    ]);
    expect(sound.count()).toBe(1);
    expect(JSON.stringify(sound.requests[0]?.body)).toContain("get_weather");
    await quiet(perf, failing, sound);
  });
});

interface Structured {
  withStructuredOutput(schema: object, options: object): { invoke(input: string): Promise<unknown> };
}

const mood = z.object({ mood: z.string(), stars: z.number() });
const question = "What an awful day, everything is broken.";

describe("structured output", () => {
  // LangChain's own parser behind ChatAnthropic reads the blocks of its own provider's answers.
  const readable = pairs.filter(([first]) => first !== "Anthropic");
  const unreadable = [["functionCalling", "Anthropic", "OpenAI"], ["functionCalling", "Anthropic", "OpenAI's responses API"]] as const;

  it.each(readable)("made of %s is had of %s by a tool", async (first, second) => {
    const [failing, sound] = [await simulator({ faults: ["status=503"] }), await simulator()];
    const model = APIS[first](failing, MODELS[first]);
    const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "first", model }, { id: "second", model: APIS[second](sound, MODELS[second]), priority: 1 }] } });
    const structured = (target: object): Promise<unknown> => (target as Structured).withStructuredOutput(mood, { method: "functionCalling" }).invoke(question);
    const answer = mood.parse(await structured(withPerf(model, perf)));
    expect(answer).toEqual(await structured(APIS[second](sound, MODELS[second])));
    expect(calls.map(askedOf)).toEqual([["first overloaded", "second"]]);
  });

  it.each([["jsonSchema", "OpenAI", "Anthropic"], ["jsonSchema", "Anthropic", "OpenAI"], ...unreadable] as const)("by %s made of %s is never asked of %s, which says why", async (method, first, second) => {
    const [failing, sound, other] = [await simulator({ faults: ["status=503"] }), await simulator(), await simulator()];
    const model = APIS[first](failing, MODELS[first]);
    const routing = { deployments: [{ id: "first", model }, { id: "unfit", model: APIS[second](other, MODELS[second]), priority: 1 }] };
    const { perf, calls } = listeningPerf({ routing, retry: { baseDelayMs: 1, maxDelayMs: 5 } });
    const structured = (): Promise<unknown> => (withPerf(model, perf) as unknown as Structured).withStructuredOutput(mood, { method }).invoke(question);

    const error = (await errorOf(structured())) as NoDeploymentError;
    expect(error).toMatchObject({ name: "NoDeploymentError", code: "PERF_NO_DEPLOYMENT", retryable: true });
    expect(error.errors.map(({ deployment }) => deployment)).toEqual(["first", "unfit"]);
    expect(error.errors[0]?.error).toMatchObject({ status: 503 });
    const { lastUnfit } = perf.deployments()[1] ?? {};
    expect(lastUnfit).toMatch(method === "jsonSchema" ? /format|schema/ : /parser of structured output/);
    expect(error.errors[1]?.error.message).toBe(`not asked, it ${lastUnfit}`);
    expect(perf.deployments()[0]?.lastUnfit).toBeUndefined();
    expect(other.count()).toBe(0);

    // One that speaks the same format comes to its help.
    perf.addDeployment({ id: "fit", model: APIS[first](sound, MODELS[first]), priority: 2 });
    mood.parse(await structured());
    expect(calls.map(askedOf)).toEqual([["first overloaded", "first overloaded", "first overloaded"], ["first overloaded", "fit"]]);
    expect(other.count()).toBe(0);
  });

  it("fails for good where nobody could ever give it", async () => {
    const [provider, other] = [await simulator(), await simulator()];
    const { perf, calls } = listeningPerf({ routing: { deployments: ["a", "b"].map((id) => ({ id, model: APIS.Anthropic(other, MODELS.Anthropic) })) } });
    const structured = (withPerf(APIS.OpenAI(provider, MODELS.OpenAI), perf) as unknown as Structured).withStructuredOutput(mood, { method: "jsonSchema" });
    expect(await errorOf(structured.invoke(question))).toMatchObject({ name: "NoDeploymentError", retryable: false, errors: [{ deployment: "a" }, { deployment: "b" }] });
    expect([provider.count(), other.count(), calls.map(askedOf)]).toEqual([0, 0, [[]]]);
  });
});
