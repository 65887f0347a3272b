import { AIMessage, type BaseMessage, HumanMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate, MessagesPlaceholder } from "@langchain/core/prompts";
import type { Runnable } from "@langchain/core/runnables";
import { ChatOpenAI, type ChatOpenAIFields } from "@langchain/openai";

const prompt = ChatPromptTemplate.fromMessages([
  ["system", `You are the support assistant of a bank. Answer shortly and kindly, from this handbook:
Cards arrive within five working days; a lost card is frozen in the app and replaced free of charge.
Transfers inside the country take minutes, international transfers up to three working days.
A top-up by card is credited at once, a top-up by bank transfer on the next working day.
Exchange rates are the interbank rates of the moment; a currency exchange costs 0.5% at weekends.
Cash withdrawals are free up to 200 EUR a month and cost 2% beyond that.
A refund appears in the account within ten days after the merchant has sent it.
A forgotten PIN is shown in the app under Card; after three wrong PINs the card is blocked until it is unblocked at a cash machine.
To verify an identity we need a passport or identity card and a photograph; it takes ten minutes.
A payment that was declined or charged twice is disputed in the app under Payments.`],
  new MessagesPlaceholder("history"),
  ["human", "{question}"],
]);

/** What the chain is asked: the question, and what was said before it. */
export interface ChatInput {
  history: BaseMessage[];
  question: string;
}

/** The chain that answers one turn. */
export function createChat(connection: Pick<ChatOpenAIFields, "apiKey" | "configuration"> = {}): Runnable<ChatInput, string> {
  const model = new ChatOpenAI({ model: "gpt-4o-mini", temperature: 0, ...connection });
  return prompt.pipe(model).pipe(new StringOutputParser());
}

/** One customer's conversation; it remembers what was said. */
export class Conversation {
  readonly #chat: Runnable<ChatInput, string>;
  readonly #history: BaseMessage[] = [];

  constructor(chat: Runnable<ChatInput, string>) {
    this.#chat = chat;
  }

  /** Streams the answer and keeps both sides for the next turn. */
  async *ask(question: string): AsyncGenerator<string> {
    let answer = "";
    for await (const text of await this.#chat.stream({ history: [...this.#history], question })) {
      answer += text;
      yield text;
    }
    this.#history.push(new HumanMessage(question), new AIMessage(answer));
  }
}
