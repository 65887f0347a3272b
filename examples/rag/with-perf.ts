import "langchain-perf/register";
import { connect } from "../connect.ts";
import { loadDocumentation, loadLabelledQuestions } from "../data/load.ts";
import { createRag } from "./rag.ts";

const { connection, close } = await connect();
const sections = loadDocumentation().map(({ chunk_link: link, text }) => ({ link, text }));
const rag = (await createRag(sections, connection)).withPerf();

const question = loadLabelledQuestions()[0]?.question ?? "";
console.log(question);
for (const time of ["first", "again"]) {
  const start = performance.now();
  for await (const text of await rag.stream(question)) process.stdout.write(text);
  console.log(`\n(${time}: ${Math.round(performance.now() - start)} ms)`);
}
await close();
