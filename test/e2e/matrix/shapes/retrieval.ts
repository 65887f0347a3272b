import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import { Document } from "@langchain/core/documents";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnableLambda, RunnablePassthrough, RunnableSequence } from "@langchain/core/runnables";
import type { FakeKit } from "../../../support/fakes/kit.ts";
import { EVENT_METHODS, type Shape } from "../shape.ts";

const documents = ["Rain is falling water.", "Snow is frozen rain.", "Wind is moving air.", "Tides follow the moon."].map(
  (pageContent, index) => new Document({ pageContent, metadata: { index } }),
);
const questions = ["What is rain?", "What are tides?"] as const;
const prompt = ChatPromptTemplate.fromTemplate("Context:\n{context}\n\nQuestion: {question}");
const format = (found: Document[]): string => found.map(({ pageContent }) => pageContent).join("\n");

const memoryStore = (kit: FakeKit): Promise<MemoryVectorStore> => MemoryVectorStore.fromDocuments(documents, kit.embeddings());

/** Programs that look something up before they ask. */
export const retrievalShapes: Shape[] = [
  { name: "retriever alone", make: (kit) => kit.retriever({ documents }), inputs: questions },
  {
    name: "retriever chain with MemoryVectorStore",
    make: async (kit) =>
      RunnableSequence.from([
        { context: (await memoryStore(kit)).asRetriever(2).pipe(format), question: new RunnablePassthrough<string>() },
        prompt,
        kit.chat(),
        new StringOutputParser(),
      ]),
    inputs: questions,
    racing: EVENT_METHODS,
  },
  {
    name: "retriever inside a closure",
    make: async (kit) => {
      const retriever = (await memoryStore(kit)).asRetriever(1);
      const words = kit.retriever({ documents, k: 1 });
      const model = kit.chat();
      return RunnableLambda.from(async (question: string) => {
        const found = [...(await retriever.invoke(question)), ...(await words.invoke(question))];
        return model.invoke(await prompt.invoke({ context: format(found), question }));
      });
    },
    inputs: questions,
  },
  {
    name: "vector store inside a closure",
    make: async (kit) => {
      const store = await memoryStore(kit);
      const model = kit.chat();
      return RunnableLambda.from(async (question: string) => {
        const found = await store.similaritySearch(question, 2);
        return model.invoke(`${format(found)}\n${question}`);
      });
    },
    inputs: questions,
  },
];
