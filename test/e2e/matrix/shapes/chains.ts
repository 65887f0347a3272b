import { InMemoryChatMessageHistory } from "@langchain/core/chat_history";
import { BaseOutputParser, OutputParserException, StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate, MessagesPlaceholder } from "@langchain/core/prompts";
import {
  RunnableBranch,
  RunnableEach,
  RunnableLambda,
  RunnableMap,
  RunnablePassthrough,
  RunnableWithMessageHistory,
} from "@langchain/core/runnables";
import { EVENT_METHODS, type Shape } from "../shape.ts";

const prompt = ChatPromptTemplate.fromMessages([
  ["system", "Be brief."],
  ["human", "{question}"],
]);
const questions = [{ question: "What is rain?" }, { question: "What is snow?" }] as const;

/** Refuses whatever is no JSON. */
class StrictParser extends BaseOutputParser<unknown> {
  override lc_namespace = ["tests"];

  override getFormatInstructions(): string {
    return "JSON, nothing else.";
  }

  override async parse(text: string): Promise<unknown> {
    if (!text.startsWith("{")) throw new OutputParserException(`no JSON: ${text}`, text);
    return JSON.parse(text);
  }
}

/** Chains of runnables: the model is a step, a branch, or hidden in a closure. */
export const chainShapes: Shape[] = [
  { name: "prompt | model", make: (kit) => prompt.pipe(kit.chat()), inputs: questions },
  { name: "prompt | model | parser", make: (kit) => prompt.pipe(kit.chat()).pipe(new StringOutputParser()), inputs: questions },
  {
    name: "RunnableMap",
    make: (kit) =>
      RunnableMap.from({
        short: prompt.pipe(kit.chat({ model: "short" })).pipe(new StringOutputParser()),
        long: prompt.pipe(kit.chat({ model: "long" })).pipe(new StringOutputParser()),
      }),
    inputs: questions,
    racing: EVENT_METHODS,
  },
  {
    name: "RunnableBranch",
    make: (kit) =>
      RunnableBranch.from([
        [({ question }: { question: string }) => question.includes("rain"), prompt.pipe(kit.chat({ model: "rain expert" }))],
        prompt.pipe(kit.chat({ model: "generalist" })),
      ]),
    inputs: questions,
    racing: EVENT_METHODS,
  },
  {
    name: "RunnableLambda with the model in its closure",
    make: (kit) => {
      const model = kit.chat();
      return RunnableLambda.from(async ({ question }: { question: string }) => {
        const draft = await model.invoke(`Draft: ${question}`);
        const final = await model.invoke([["human", `Improve: ${draft.text}`]]);
        return { draft: draft.text, final: final.text };
      });
    },
    inputs: questions,
  },
  {
    name: "RunnableLambda that streams the model in its closure",
    make: (kit) => {
      const model = kit.chat();
      return RunnableLambda.from(async function* ({ question }: { question: string }) {
        for await (const chunk of await model.stream(question)) yield chunk.text.toUpperCase();
      });
    },
    inputs: questions,
  },
  {
    name: "RunnableLambda that returns a runnable",
    make: (kit) => {
      const chain = prompt.pipe(kit.chat());
      return RunnableLambda.from(({ question }: { question: string }) => (question.includes("rain") ? chain : kit.chat()));
    },
    inputs: [questions[0], { question: "rain or snow?" }],
  },
  {
    name: "RunnablePassthrough.assign",
    make: (kit) =>
      RunnablePassthrough.assign({ answer: prompt.pipe(kit.chat()).pipe(new StringOutputParser()) }).pipe(
        RunnablePassthrough.assign({ length: ({ answer }: { answer: string }) => answer.length }),
      ),
    inputs: questions,
    racing: EVENT_METHODS,
  },
  {
    // `runnable.map()` is gone from core 1; the class is still there.
    name: "RunnableEach (map)",
    make: (kit) => new RunnableEach({ bound: prompt.pipe(kit.chat()) }),
    inputs: [[...questions], [{ question: "What is hail?" }]],
  },
  {
    name: "RunnableWithMessageHistory",
    make: (kit) => {
      const sessions = new Map<string, InMemoryChatMessageHistory>();
      const talk = ChatPromptTemplate.fromMessages([new MessagesPlaceholder("history"), ["human", "{question}"]]);
      return new RunnableWithMessageHistory({
        runnable: talk.pipe(kit.chat()),
        getMessageHistory: async (id: string) => {
          const known = sessions.get(id);
          if (known) return known;
          const history = new InMemoryChatMessageHistory();
          await history.addUserMessage("Hi, I am Ada.");
          await history.addAIMessage("Hello Ada!");
          sessions.set(id, history);
          return history;
        },
        inputMessagesKey: "question",
        historyMessagesKey: "history",
      });
    },
    inputs: questions,
    // A session of its own for each run, so that the second run asks the same as the first.
    config: (run, index) => ({ configurable: { sessionId: `session-${run}-${index}` } }),
  },
  {
    name: "withRetry around a parser that refuses the first answer",
    make: (kit) => {
      const model = kit.chat({ reply: ({ attempt, digest }) => (attempt === 1 ? "Certainly!" : `{"digest":"${digest}"}`) });
      return prompt.pipe(model).pipe(new StrictParser()).withRetry({ stopAfterAttempt: 2 });
    },
    inputs: questions,
    skipTimers: true,
    // LangChain tries a stream once, and nothing tells anybody that the answer was refused.
    throws: ["stream", "streamEvents v2", "streamLog"],
    notWarm: ["stream", "streamEvents v2", "streamLog"],
  },
];
