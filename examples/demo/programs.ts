import "langchain-perf/register";
import type { ChatOpenAIFields } from "@langchain/openai";
import { createSupportAgent } from "../agent/agent.ts";
import { Conversation, createChat } from "../chat/chat.ts";
import { loadCustomerMessages, loadDocumentation, loadLabelledQuestions } from "../data/load.ts";
import { createRag } from "../rag/rag.ts";
import { createClassifier } from "../sentiment/sentiment.ts";
import { agentQuestions } from "./agent-questions.ts";
import { drawConversations, drawQuestions, type Random, type Workload } from "./workload.ts";

/** Asks a question, tells of the first text of the answer, and gives the whole of it as text. */
export type Ask = (question: string, onText: () => void) => Promise<string>;

/** A program that has been set up: what is called, and how a new conversation with it begins. */
export interface RunningProgram {
  /** The runnable or agent that answers. */
  root: object;
  converse(): Ask;
}

/** One of the programs that the demo plays. */
export interface Program {
  title: string;
  /**
   * Whether the provider may end its answers with a digest of the whole request, so that a wrong hit shows.
   * Not where the ids of tool calls, which no two answers share, are part of the next request.
   */
  digestInText: boolean;
  /** A question outside the workload, to open connections with. */
  warmUp: string;
  draw(requests: number, random: Random): Workload;
  /** A fresh instance; the line with `withPerf` is all that tells a wrapped one from a bare one. */
  start(connection: Pick<ChatOpenAIFields, "apiKey" | "configuration">, wrapped: boolean): Promise<RunningProgram>;
}

const rag: Program = {
  title: "RAG over 232 documentation chunks",
  digestInText: true,
  warmUp: "How do I begin?",
  draw: (requests, random) => drawQuestions(loadLabelledQuestions().map(({ question }) => question), requests, random),
  async start(connection, wrapped) {
    const bare = await createRag(loadDocumentation().map(({ chunk_link: link, text }) => ({ link, text })), connection);
    const chain = wrapped ? bare.withPerf() : bare;
    return { root: chain, converse: () => async (question, onText) => collect(await chain.stream(question), onText) };
  },
};

const chat: Program = {
  title: "support chatbot with history",
  digestInText: true,
  warmUp: "Are you there?",
  draw(requests, random) {
    const byIntent = new Map<string, string[]>();
    for (const { text, intent } of loadCustomerMessages()) byIntent.set(intent, [...(byIntent.get(intent) ?? []), text]);
    return drawConversations([...byIntent.values()], requests, random);
  },
  async start(connection, wrapped) {
    const bare = createChat(connection);
    const chain = wrapped ? bare.withPerf() : bare;
    return {
      root: chain,
      converse() {
        const conversation = new Conversation(chain);
        return (question, onText) => collect(conversation.ask(question), onText);
      },
    };
  },
};

const agent: Program = {
  title: "agent with three tools",
  digestInText: false,
  warmUp: "Hello!",
  draw: (requests, random) => drawQuestions(agentQuestions(), requests, random),
  async start(connection, wrapped) {
    const bare = createSupportAgent(connection);
    const support = wrapped ? bare.withPerf() : bare;
    return { root: support, converse: () => (question, onText) => askAgent(support, question, onText) };
  },
};

const sentiment: Program = {
  title: "sentiment classifier with structured output",
  digestInText: true,
  warmUp: "Good morning.",
  draw(requests, random) {
    const messages = loadCustomerMessages().filter((_, row) => row % 50 === 0);
    return drawQuestions(messages.map(({ text }) => text), requests, random);
  },
  async start(connection, wrapped) {
    const bare = createClassifier(connection);
    const classifier = wrapped ? bare.withPerf() : bare;
    return { root: classifier, converse: () => async (message) => JSON.stringify(await classifier.invoke({ message })) };
  },
};

/** In the order in which they are played. */
export const programs = { rag, chat, agent, sentiment } as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof programs;

async function collect(parts: AsyncIterable<string>, onText: () => void): Promise<string> {
  let answer = "";
  for await (const text of parts) {
    if (text !== "" && answer === "") onText();
    answer += text;
  }
  return answer;
}

/** The answer of an agent, with the tools it called on the way. */
async function askAgent(support: ReturnType<typeof createSupportAgent>, question: string, onText: () => void): Promise<string> {
  const stream = await support.stream({ messages: [{ role: "user", content: question }] }, { streamMode: ["messages", "values"] });
  let answer = "";
  let heard = false;
  for await (const [mode, part] of stream) {
    if (mode === "values") {
      answer = describe(part.messages);
    } else if (!heard && part[0].type === "ai" && part[0].text !== "") {
      heard = true;
      onText();
    }
  }
  // LangGraph hands out tokens in the background and drops those that come after a quick end: then the whole answer is the first text.
  if (!heard) onText();
  return answer;
}

function describe(messages: readonly { type: string; text: string; tool_calls?: { name: string; args: unknown }[] }[]): string {
  const calls = messages.flatMap((message) => message.tool_calls ?? []).map(({ name, args }) => `${name}(${JSON.stringify(args)})`);
  return [...calls, messages.at(-1)?.text].join("\n");
}
