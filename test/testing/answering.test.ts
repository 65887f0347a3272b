import { CommaSeparatedListOutputParser, StructuredOutputParser } from "@langchain/core/output_parsers";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { JsonSchema } from "../../src/testing/answering/json-schema.ts";
import { fillSchema } from "../../src/testing/answering/schema.ts";
import { chatModel, simulator } from "./support.ts";

type Message = [role: string, content: string];

async function answer(...messages: Message[]): Promise<string> {
  return (await chatModel(await simulator()).invoke(messages)).content as string;
}

const CONTEXT = "Context:\nThe Eiffel Tower is 330 metres tall.\nIt stands in Paris.\nBananas are yellow.";

describe("questions", () => {
  it.each<[string, Message[]]>([
    ["in the same message", [["user", `Answer from the context.\n\n${CONTEXT}\n\nQuestion: How tall is the Eiffel Tower?\nAnswer:`]]],
    ["in the system prompt", [["system", `Use only the context.\n${CONTEXT}`], ["user", "How tall is the Eiffel Tower?"]]],
  ])("are answered from a context %s", async (_place, messages) => {
    expect(await answer(...messages)).toBe("The Eiffel Tower is 330 metres tall.");
  });

  it("find their place at the end of a long message", async () => {
    const filler = Array.from({ length: 30 }, (_, at) => `Fact number ${at} concerns vegetables of sort ${at}.`).join(" ");
    expect(await answer(["user", `${filler} The capital of Peru is Lima. What is the capital of Peru?`])).toBe("The capital of Peru is Lima.");
  });

  it("are answered from what was said earlier", async () => {
    const history: Message[] = [
      ["user", "Hi, my name is Ada."],
      ["assistant", "Noted: Hi, your name is Ada."],
      ["user", "I live in Paris."],
      ["assistant", "Noted: You live in Paris."],
    ];
    expect(await answer(...history, ["user", "What is my name?"])).toContain("your name is Ada");
    expect(await answer(...history, ["user", "Where do I live?"])).toBe("You live in Paris.");
  });

  it("without any material are told apart", async () => {
    const [cats, dogs] = [await answer(["user", "Tell me about cats"]), await answer(["user", "Tell me about dogs"])];
    expect(cats).toContain("cats");
    expect(dogs).toContain("dogs");
  });

  it("take what a statement says as noted", async () => {
    expect(await answer(["user", "My favourite colour is blue."])).toBe("Noted: Your favourite colour is blue.");
  });
});

describe("instructions", () => {
  it.each([
    ["I love it, great work", "positive"],
    ["It broke after a day, terrible", "negative"],
    ["It is not good", "negative"],
    ["The parcel has two sides", "neutral"],
    ["I would like a refund", "negative"],
  ])("to classify %j give %s", async (text, label) => {
    expect(await answer(["system", "Say whether the sentiment is positive, negative or neutral."], ["user", text])).toBe(label);
  });

  it("of a structured output parser are followed", async () => {
    const parser = StructuredOutputParser.fromZodSchema(z.object({ city: z.string(), urgent: z.boolean() }));
    const text = await answer(["system", parser.getFormatInstructions()], ["user", "I need help in Lyon immediately"]);
    expect(await parser.parse(text)).toEqual({ city: "Lyon", urgent: true });
  });

  it("of a list parser are followed", async () => {
    const parser = new CommaSeparatedListOutputParser();
    expect(await parser.parse(await answer(["system", parser.getFormatInstructions()], ["user", "cats, dogs and horses"]))).toEqual(["cats", "dogs", "horses"]);
  });
});

describe("schemas", () => {
  const fill = (schema: JsonSchema, question: string): unknown => fillSchema(schema, { question, context: question, answer: question });

  it.each<[string, JsonSchema, string, unknown]>([
    ["a constant", { const: 7 }, "", 7],
    ["a date", { type: "string", format: "date" }, "Meet me on 2026-03-01 please", "2026-03-01"],
    ["an e-mail address", { type: "string", format: "email" }, "Write to ada@example.org today", "ada@example.org"],
    ["a valid date when there is none", { type: "string", format: "date" }, "hello", "2025-01-01"],
    ["an enumeration by its words", { enum: ["billing", "refund_request", "other"] }, "I want a refund", "refund_request"],
    ["an enumeration without a sign", { enum: ["billing", "other"] }, "xyz", "other"],
    ["a priority", { enum: ["low", "medium", "high"], description: "the priority" }, "Help, this is urgent", "high"],
    ["the number beside its name", { type: "object", properties: { rooms: { type: "integer" }, nights: { type: "integer" } } }, "I want 2 rooms for 5 nights", { rooms: 2, nights: 5 }],
    ["a number within bounds", { type: "number", minimum: 10, maximum: 20 }, "I am 5", 10],
    ["a list of listed values", { type: "array", items: { enum: ["red", "green", "blue"] } }, "red and blue", ["red", "blue"]],
    ["a list of objects", { type: "array", minItems: 2, items: { type: "object", properties: { done: { type: "boolean" } } } }, "x", [{ done: false }, { done: false }]],
    ["a nullable value", { anyOf: [{ type: "null" }, { type: "integer" }] }, "It costs 12", 12],
    ["both ends of a way", { type: "object", properties: { from: { type: "string" }, to: { type: "string" } } }, "A flight from Rome to New York", { from: "Rome", to: "New York" }],
    ["codes without words between", { type: "object", properties: { base: { type: "string" }, target: { type: "string" } } }, "EUR USD?", { base: "EUR", target: "USD" }],
    ["a short text", { type: "string", maxLength: 3 }, "abcdef", "abc"],
  ])("give %s", (_what, schema, question, value) => {
    expect(fill(schema, question)).toEqual(value);
  });

  it("may refer to themselves and be merged", () => {
    const node: JsonSchema = {
      $defs: { named: { type: "object", properties: { name: { type: "string" } } }, tree: { type: "object", properties: { child: { $ref: "#/$defs/tree" } } } },
      allOf: [{ $ref: "#/$defs/named" }, { $ref: "#/$defs/tree" }],
    };
    expect(fill(node, "My name is Ada")).toMatchObject({ name: "Ada", child: { child: {} } });
  });
});
