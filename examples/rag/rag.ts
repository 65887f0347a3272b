import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import { Document } from "@langchain/core/documents";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { type Runnable, RunnablePassthrough, RunnableSequence } from "@langchain/core/runnables";
import { ChatOpenAI, type ChatOpenAIFields, OpenAIEmbeddings } from "@langchain/openai";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";

const prompt = ChatPromptTemplate.fromMessages([
  ["system", "You answer questions about the documentation. Use only the given context; say so when it does not hold the answer.\n\nContext:\n{context}"],
  ["human", "{question}"],
]);

/** A section of the documentation: where it stands, and what it says. */
export interface Section {
  link: string;
  text: string;
}

/** Indexes the sections and gives a chain that answers a question from the four that fit it best. */
export async function createRag(
  sections: readonly Section[],
  connection: Pick<ChatOpenAIFields, "apiKey" | "configuration"> = {},
): Promise<Runnable<string, string>> {
  const retriever = await indexSections(sections, connection);
  const model = new ChatOpenAI({ model: "gpt-4o-mini", temperature: 0, ...connection });

  return RunnableSequence.from([
    { context: retriever.pipe(formatContext), question: new RunnablePassthrough<string>() },
    prompt,
    model,
    new StringOutputParser(),
  ]);
}

/** The vector store of all sections as a retriever; a section too long for one embedding is split. */
export async function indexSections(
  sections: readonly Section[],
  connection: Pick<ChatOpenAIFields, "apiKey" | "configuration"> = {},
): Promise<ReturnType<MemoryVectorStore["asRetriever"]>> {
  const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 4_000, chunkOverlap: 200 });
  const documents = await splitter.splitDocuments(
    sections.map(({ link, text }) => new Document({ pageContent: text, metadata: { link } })),
  );
  // LangChain's default of two at a time would make questions that come together queue for their embeddings.
  const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", maxConcurrency: 100, ...connection });
  const store = await MemoryVectorStore.fromDocuments(documents, embeddings);
  return store.asRetriever({ k: 4 });
}

function formatContext(documents: Document[]): string {
  return documents.map(({ pageContent, metadata }) => `${pageContent}\n(source: ${metadata.link})`).join("\n\n");
}
