import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { createPerf, type Perf } from "langchain-perf";
import { connect } from "./connect.ts";

const { connection, close } = await connect();
const file = join(mkdtempSync(join(tmpdir(), "cached-rag-")), "perf.db");
const model = new ChatOpenAI({ model: "gpt-4o-mini", temperature: 0, ...connection });
const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", ...connection });
const documents = new Map([
  ["cards.md", "A new card arrives within five working days."],
  ["refunds.md", "A refund takes ten days to reach the account."],
]);

interface Answer {
  text: string;
  sources: string[];
}

async function answer(question: string): Promise<Answer> {
  const store = await MemoryVectorStore.fromTexts([...documents.values()], [...documents.keys()].map((source) => ({ source })), embeddings);
  const found = await store.similaritySearch(question, 1);
  const context = found.map(({ pageContent }) => pageContent).join("\n");
  const { text } = await model.invoke([["system", `Use only this context.\n\nContext:\n${context}`], ["human", question]]);
  return { text, sources: found.map(({ metadata }) => metadata.source as string) };
}

/** In each process: answers go through memory and the file, and carry their sources as tags. */
function start(): { perf: Perf; ask: typeof answer } {
  const perf = createPerf({ cache: { persistent: `sqlite:${file}`, ttlMs: 24 * 3_600_000 }, coalesce: true });
  perf.on("call", ({ kind, cache }) => kind === "function" && console.log(cache?.status, cache?.tier ?? ""));
  return { perf, ask: perf.cached("answer", answer, { tags: ({ sources }) => sources }) };
}

const first = start();
await first.perf.cache.warm({ invoke: first.ask }, ["When does my new card arrive?", "How long does a refund take?"]); // miss, miss
await first.ask("When does my new card arrive?"); // hit, from memory
await first.perf.close();

const second = start(); // another process, or this one after a restart
console.log((await second.ask("When does my new card arrive?")).text); // hit, from the file
documents.set("cards.md", "A new card arrives within two working days.");
console.log(await second.perf.cache.invalidate({ tags: ["cards.md"] }), "answer forgotten");
console.log((await second.ask("When does my new card arrive?")).text); // miss
await second.ask("How long does a refund take?"); // hit: its document is the same
await second.perf.close();
await close();
