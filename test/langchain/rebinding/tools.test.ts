import { describe, expect, it } from "vitest";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { call, clock, FORMATS, MODELS, openai, anthropic, google, rebound, sent, unfit, weather, type Format } from "./models.ts";

const pairs = FORMATS.flatMap((from) => FORMATS.map((to) => [from, to] as const));

/** Names, descriptions and arguments of the tools that a request declares, whatever its format. */
function declared({ tools = [] }: Record<string, any>, format: Format): object[] {
  const list: Record<string, any>[] = format === "Google" ? tools.flatMap((one: any) => one.functionDeclarations) : format === "OpenAI" ? tools.map((one: any) => one.function) : tools;
  return list.map(({ name, description, parameters, input_schema: schema = parameters }) => ({
    name, description, type: schema?.type ?? "object", properties: schema?.properties ?? {}, required: schema?.required ?? [],
  }));
}

const WEATHER = {
  name: "get_weather", description: "Get the current weather for a city", type: "object", required: ["city"],
  properties: { city: { type: "string", description: "The city" }, unit: { type: "string", enum: ["C", "F"] } },
};
const CLOCK = { name: "get_time", description: "Get the time", type: "object", properties: {}, required: [] };

describe("tools that the caller runs", () => {
  it.each(pairs)("bound to a model of %s are declared as well by one of %s", (from, to) => {
    const input = call(MODELS[from]().bindTools([weather, clock]));
    expect(declared(sent(rebound(input, MODELS[to]())), to)).toEqual([WEATHER, CLOCK]);
  });

  it.each(pairs)("given to a call of %s as LangChain's objects are declared by %s", (from, to) => {
    expect(declared(sent(rebound(call(MODELS[from](), { tools: [weather, clock] }), MODELS[to]())), to)).toEqual([WEATHER, CLOCK]);
  });

  it("have the shape that the target's own class gives them", () => {
    for (const to of FORMATS) {
      const own = sent(call(MODELS[to]().bindTools([weather]))).tools;
      const { $schema: _, ...schema } = (to === "OpenAI" ? own[0].function.parameters : to === "Anthropic" ? own[0].input_schema : own[0].functionDeclarations[0].parameters) as Record<string, unknown>;
      for (const from of FORMATS.filter((one) => one !== to && one !== "Google")) {
        const [made] = sent(rebound(call(MODELS[from]().bindTools([weather])), MODELS[to]())).tools;
        const rebuilt = to === "OpenAI" ? made.function.parameters : to === "Anthropic" ? made.input_schema : made.functionDeclarations[0].parameters;
        expect(rebuilt).toEqual(to === "Google" ? schema : expect.objectContaining(schema));
      }
    }
  });

  it("keep what Google says in capitals, and leave out what it refuses", () => {
    const parameters = { type: "OBJECT", properties: { type: { type: "STRING" }, strict: { type: "ARRAY", items: { type: "NUMBER" } } } };
    const input = call(google(), { tools: [{ functionDeclarations: [{ name: "f", parameters }] }] });
    expect(sent(rebound(input, anthropic())).tools).toEqual([
      { name: "f", input_schema: { type: "object", properties: { type: { type: "string" }, strict: { type: "array", items: { type: "number" } } } } },
    ]);
    const schema = { $schema: "x", type: "object", additionalProperties: false, properties: { strict: { type: "object", additionalProperties: {}, properties: { a: { type: "string" } } } } };
    const own = call(openai(), { tools: [{ type: "function", function: { name: "f", parameters: schema } }] });
    expect(sent(rebound(own, google())).tools).toEqual([
      { functionDeclarations: [{ name: "f", parameters: { type: "object", properties: { strict: { type: "object", properties: { a: { type: "string" } } } } } }] },
    ]);
  });

  it("stay strict where the other format knows it", () => {
    const input = call(openai().bindTools([weather], { strict: true }));
    expect(sent(rebound(input, anthropic())).tools[0].strict).toBe(true);
    expect(sent(rebound(input, google())).tools[0].functionDeclarations[0]).not.toHaveProperty("strict");
  });

  it("are not offered to Anthropic where it would drop them in silence", () => {
    const either = { type: "function", function: { name: "either", parameters: { anyOf: [{ type: "object" }, { type: "object" }] } } };
    expect(unfit(call(openai(), { tools: [either] }), anthropic())).toBe('cannot take the tool "either", whose arguments are a choice of several schemas');
  });

  it("reach the responses API in its own shape", () => {
    const target = openai({ useResponsesApi: true });
    expect(sent(rebound(call(anthropic().bindTools([weather])), target)).tools[0]).toMatchObject({ type: "function", name: "get_weather" });
  });
});

describe("tools that a provider runs", () => {
  const search = tool(() => "", { name: "search", description: "", schema: z.object({}) });
  search.extras = { providerToolDefinition: { type: "web_search_20250305", name: "web_search" } };

  it.each([
    ["OpenAI", { type: "web_search_preview" }, 'the tool "web_search_preview" of OpenAI'],
    ["OpenAI", { type: "mcp", server_label: "x", server_url: "y" }, 'the tool "mcp" of OpenAI'],
    ["OpenAI", { type: "custom", custom: { name: "free" } }, 'the tool "custom" of OpenAI'],
    ["Anthropic", { type: "web_search_20250305", name: "web_search" }, 'the tool "web_search_20250305" of Anthropic'],
    ["Anthropic", { type: "computer_20250124", name: "computer" }, 'the tool "computer_20250124" of Anthropic'],
    ["Anthropic", search, 'the tool "search" of Anthropic'],
    ["Google", { googleSearch: {} }, 'the tool "googleSearch" of Google'],
    ["Google", { codeExecution: {} }, 'the tool "codeExecution" of Google'],
  ] as const)("of %s are for nobody else: %j", (from, own, reason) => {
    const input = call(MODELS[from](), { tools: [own, weather] });
    for (const to of FORMATS) expect(unfit(input, MODELS[to]())).toBe(to === from ? undefined : `cannot take ${reason}`);
  });

  it("of OpenAI are not for others who take its format", () => {
    class ChatGroq extends ChatOpenAI {}
    const groq = new ChatGroq({ model: "m", apiKey: "d" });
    expect(unfit(call(openai(), { tools: [{ type: "web_search_preview" }] }), groq)).toBe('cannot take the tool "web_search_preview" of OpenAI');
    expect(declared(sent(rebound(call(openai().bindTools([weather])), groq)), "OpenAI")).toEqual([WEATHER]);
  });
});

describe("the choice of tools", () => {
  const CHOICES = {
    OpenAI: { auto: "auto", none: "none", any: "required", named: { type: "function", function: { name: "get_weather" } } },
    Anthropic: { auto: { type: "auto" }, none: { type: "none" }, any: { type: "any" }, named: { type: "tool", name: "get_weather" } },
    Google: { auto: "auto", none: "none", any: "any", named: "get_weather" },
  };
  const SENT = {
    OpenAI: CHOICES.OpenAI,
    Anthropic: CHOICES.Anthropic,
    Google: { auto: { mode: "AUTO" }, none: { mode: "NONE" }, any: { mode: "ANY" }, named: { mode: "ANY", allowedFunctionNames: ["get_weather"] } },
  };
  const choices = ["auto", "none", "any", "named"] as const;

  it.each(pairs.flatMap(([from, to]) => choices.map((choice) => [from, choice, to] as const)))("as %s says %s is told to %s", (from, choice, to) => {
    const params = sent(rebound(call(MODELS[from]().bindTools([weather, clock], { tool_choice: CHOICES[from][choice] as never })), MODELS[to]()));
    expect(to === "Google" ? params.toolConfig.functionCallingConfig : params.tool_choice).toEqual(SENT[to][choice]);
  });

  it.each(["required", "any", "get_weather"])("in LangChain's own word %s is understood by all", (word) => {
    const wanted = word === "get_weather" ? "named" : "any";
    expect(sent(rebound(call(openai().bindTools([weather], { tool_choice: word })), anthropic())).tool_choice).toEqual(SENT.Anthropic[wanted]);
    expect(sent(rebound(call(openai().bindTools([weather], { tool_choice: word })), google())).toolConfig.functionCallingConfig).toEqual(SENT.Google[wanted]);
  });

  it("by the names that Google allows is a name to others, if it is one", () => {
    const one = call(google().bindTools([weather, clock]), { allowedFunctionNames: ["get_weather"] });
    expect(sent(rebound(one, openai())).tool_choice).toEqual(CHOICES.OpenAI.named);
    const two = call(google().bindTools([weather, clock]), { allowedFunctionNames: ["get_weather", "get_time"] });
    expect(unfit(two, openai())).toBe("cannot be kept to some of the tools");
  });

  it("to call one at a time goes with it, and not to Google, which cannot be told so", () => {
    const one = call(openai().bindTools([weather], { parallel_tool_calls: false }));
    expect(sent(rebound(one, anthropic())).tool_choice).toEqual({ type: "auto", disable_parallel_tool_use: true });
    expect(unfit(one, google())).toBe("cannot be kept from calling several tools at once");
    const back = call(anthropic().bindTools([weather]), { tool_choice: { type: "any", disable_parallel_tool_use: true } });
    expect(sent(rebound(back, openai()))).toMatchObject({ tool_choice: "required", parallel_tool_calls: false });
    const many = call(openai().bindTools([weather], { parallel_tool_calls: true }));
    expect(sent(rebound(many, anthropic())).tool_choice).toBeUndefined();
    expect(sent(rebound(many, google())).toolConfig).toBeUndefined();
  });

  it("is not forced upon a model that thinks, nor put in words to the responses API", () => {
    const forced = call(openai().bindTools([weather], { tool_choice: "required" }));
    expect(unfit(forced, anthropic({ thinking: { type: "enabled", budget_tokens: 2_000 } }))).toBe("thinks before it answers, and then cannot be made to call a tool");
    expect(unfit(forced, openai({ useResponsesApi: true }))).toBe('cannot be told the tool choice "any" by the responses API');
    const named = call(openai().bindTools([weather], { tool_choice: "get_weather" }));
    expect(sent(rebound(named, openai({ useResponsesApi: true }))).tool_choice).toEqual({ type: "function", name: "get_weather" });
  });
});
