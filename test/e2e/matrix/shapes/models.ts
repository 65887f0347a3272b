import { AIMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { initChatModel } from "langchain";
import { z } from "zod";
import { RUNNABLE_METHODS } from "../methods.ts";
import { EVENT_METHODS, type Shape } from "../shape.ts";

const questions = ["What is rain?", "What is snow? It falls."] as const;
const weather = z.object({ sky: z.enum(["clear", "grey"]), degrees: z.number(), remark: z.string() });

/** Models alone, and all that LangChain makes of one model. */
export const modelShapes: Shape[] = [
  { name: "model alone", make: (kit) => kit.chat(), inputs: questions },
  {
    name: "model with a conversation",
    make: (kit) => kit.chat(),
    inputs: [
      [new SystemMessage("Be brief."), new HumanMessage("Hi"), new AIMessage("Hello!"), new HumanMessage("What is rain?")],
      [
        { role: "system", content: "Be brief." },
        { role: "user", content: [{ type: "text", text: "What is snow?" }] },
      ],
    ],
  },
  { name: "an LLM (not chat)", make: (kit) => kit.llm(), inputs: questions },
  {
    name: "prompt | LLM",
    make: (kit) => ChatPromptTemplate.fromTemplate("Answer: {question}").pipe(kit.llm()),
    inputs: [{ question: questions[0] }, { question: questions[1] }],
  },
  {
    name: "withConfig",
    make: (kit) => kit.chat().withConfig({ runName: "narrator", tags: ["weather"], metadata: { team: "sky" } }),
    inputs: questions,
    config: (run, index) => ({ tags: ["from the caller"], metadata: { run, index } }),
  },
  // `bind` is gone from core 1: call options are bound by `withConfig`.
  { name: "bind", make: (kit) => kit.chat().withConfig({ stop: ["snow"] }), inputs: questions },
  {
    name: "bindTools",
    make: (kit) => kit.chat().bindTools([kit.tool({ name: "weather" }), kit.tool({ name: "tides" })]),
    inputs: questions,
  },
  {
    name: "withStructuredOutput",
    make: (kit) => kit.chat().withStructuredOutput(weather, { name: "weather" }),
    inputs: questions,
  },
  {
    name: "withStructuredOutput with the raw message",
    make: (kit) => kit.chat().withStructuredOutput(weather, { includeRaw: true }),
    inputs: questions,
  },
  {
    name: "withFallbacks",
    make: (kit) => {
      const broken = kit.chat({ model: "broken", failure: () => new Error("out of order") });
      return broken.withFallbacks([kit.chat({ model: "spare" })]);
    },
    inputs: questions,
    racing: EVENT_METHODS,
    // A failure is never cached: the first model is asked again, the spare one's answer is known.
    warmCounts: (bare) => ({ ...bare, chat: bare.chat / 2 }),
  },
  {
    name: "withRetry",
    make: (kit) => {
      const failsFirst = ({ attempt }: { attempt: number }): unknown => (attempt === 1 ? new Error("try again") : undefined);
      return kit.chat({ failure: failsFirst }).withRetry({ stopAfterAttempt: 2 });
    },
    inputs: questions,
    skipTimers: true,
    // LangChain tries a stream once.
    throws: ["stream", "streamEvents v2", "streamLog"],
  },
  {
    name: "a model that fails in the middle of its answer",
    make: (kit) => kit.chat({ failure: () => new TypeError("cut"), failAfterChunks: 2 }),
    inputs: questions,
    throws: RUNNABLE_METHODS,
  },
  {
    name: "initChatModel",
    make: async (kit) => {
      const { baseURL } = await kit.openAI();
      return initChatModel("openai:gpt-4o-mini", { apiKey: "none", configuration: { baseURL } });
    },
    inputs: questions,
  },
];
