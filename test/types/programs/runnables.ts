import "langchain-perf/register";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import type { BaseRetriever } from "@langchain/core/retrievers";
import { RunnableLambda, type Runnable, type RunnableSequence } from "@langchain/core/runnables";
import type { Embeddings } from "@langchain/core/embeddings";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { VectorStore } from "@langchain/core/vectorstores";
import { createPerf, withPerf, type Perf } from "langchain-perf";
import { type Same, yes } from "./same.js";

const perf: Perf = createPerf({ cache: true });

declare const model: BaseChatModel;
declare const chain: RunnableSequence<{ question: string }, string>;
declare const retriever: BaseRetriever<{ source: string }>;
declare const embeddings: Embeddings;
declare const vectorStore: VectorStore;

// The method gives back the very type, without options, with options and with a perf.
yes<Same<ReturnType<typeof wrapChain>, typeof chain>>();
function wrapChain() {
  return chain.withPerf();
}
const withOptions = chain.withPerf({ cache: { ttlMs: 60_000 }, coalesce: true, trace: { captureContent: true } });
yes<Same<typeof withOptions, RunnableSequence<{ question: string }, string>>>();
const withOwn = chain.withPerf(perf);
yes<Same<typeof withOwn, typeof chain>>();
const answer: Promise<string> = withOwn.invoke({ question: "?" }, { configurable: { perf: { cache: "refresh" } } });
// @ts-expect-error the input's type is kept
void withOwn.invoke({ quest: "?" });

const wrappedModel = model.withPerf();
yes<Same<typeof wrappedModel, BaseChatModel>>();
const lambda = RunnableLambda.from((text: string) => text.length);
const wrappedLambda = lambda.withPerf();
yes<Same<typeof wrappedLambda, RunnableLambda<string, number>>>();
const wrappedRetriever = retriever.withPerf({ cache: { kinds: { retriever: { id: "docs" } } } });
yes<Same<typeof wrappedRetriever, BaseRetriever<{ source: string }>>>();

// A chain as it is written, wrapped where it ends.
const piped = ChatPromptTemplate.fromTemplate<{ topic: string }>("{topic}").pipe(model).pipe(new StringOutputParser());
const wrappedPiped = piped.withPerf();
yes<Same<typeof wrappedPiped, typeof piped>>();
yes<Same<Awaited<ReturnType<typeof wrappedPiped.invoke>>, string>>();
const generic: Runnable<string, number> = wrappedLambda;

// The function, also for what is no Runnable.
const byFunction = withPerf(chain, { coalesce: true });
yes<Same<typeof byFunction, typeof chain>>();
const wrappedEmbeddings = withPerf(embeddings, perf);
yes<Same<typeof wrappedEmbeddings, Embeddings>>();
const wrappedStore = withPerf(vectorStore);
yes<Same<typeof wrappedStore, VectorStore>>();

// @ts-expect-error an unknown option
chain.withPerf({ nonsense: 1 });
// @ts-expect-error a wrong type
chain.withPerf({ cache: { ttlMs: "60s" } });
// @ts-expect-error neither options nor a perf
chain.withPerf(42);
// @ts-expect-error an unknown option
withPerf(chain, { nonsense: 1 });
// @ts-expect-error nothing that can be wrapped
withPerf("chain");

export { answer, generic, wrapChain, wrappedModel };
