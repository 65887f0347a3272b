import type { DynamicStructuredTool } from "@langchain/core/tools";
import { FakeChatModel, type FakeChatModelFields } from "./chat-model.ts";
import { type CallCounts, noCalls } from "./counts.ts";
import { FakeEmbeddings, type FakeEmbeddingsFields } from "./embeddings.ts";
import { FakeLLM, type FakeLLMFields } from "./llm.ts";
import { type OpenAIStub, startOpenAIStub } from "./openai-stub.ts";
import { FakeRetriever, type FakeRetrieverFields } from "./retriever.ts";
import { fakeTool, type FakeToolFields } from "./tool.ts";

/** Makes fakes that share one set of counts, and closes what it opened. */
export interface FakeKit extends AsyncDisposable {
  readonly counts: CallCounts;
  chat(fields?: FakeChatModelFields): FakeChatModel;
  llm(fields?: FakeLLMFields): FakeLLM;
  embeddings(fields?: FakeEmbeddingsFields): FakeEmbeddings;
  retriever(fields: FakeRetrieverFields): FakeRetriever;
  tool(fields: FakeToolFields): DynamicStructuredTool;
  openAI(): Promise<OpenAIStub>;
}

export function createFakeKit(): FakeKit {
  const counts = noCalls();
  const stubs: OpenAIStub[] = [];
  return {
    counts,
    chat: (fields) => new FakeChatModel({ counts, ...fields }),
    llm: (fields) => new FakeLLM({ counts, ...fields }),
    embeddings: (fields) => new FakeEmbeddings({ counts, ...fields }),
    retriever: (fields) => new FakeRetriever({ counts, ...fields }),
    tool: (fields) => fakeTool({ counts, ...fields }) as unknown as DynamicStructuredTool,
    async openAI() {
      const stub = await startOpenAIStub(counts);
      stubs.push(stub);
      return stub;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(stubs.map((stub) => stub.close()));
    },
  };
}
