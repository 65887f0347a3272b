import { ChatPromptTemplate } from "@langchain/core/prompts";
import type { Runnable } from "@langchain/core/runnables";
import { ChatOpenAI, type ChatOpenAIFields } from "@langchain/openai";
import * as z from "zod";

const schema = z.object({
  sentiment: z.enum(["positive", "neutral", "negative"]).describe("how the customer feels"),
  urgent: z.boolean().describe("whether the customer needs help at once"),
  summary: z.string().describe("what the customer wants, in a few words"),
});

/** What the classifier says of a customer's message. */
export type Sentiment = z.infer<typeof schema>;

const prompt = ChatPromptTemplate.fromMessages([
  ["system", "Classify the sentiment of the customer's message."],
  ["human", "{message}"],
]);

/** Classifies a customer's message into a typed object. */
export function createClassifier(connection: Pick<ChatOpenAIFields, "apiKey" | "configuration"> = {}): Runnable<{ message: string }, Sentiment> {
  const model = new ChatOpenAI({ model: "gpt-4o-mini", temperature: 0, ...connection });
  return prompt.pipe(model.withStructuredOutput(schema, { name: "sentiment" }));
}
