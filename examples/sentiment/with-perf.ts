import "langchain-perf/register";
import { connect } from "../connect.ts";
import { createClassifier } from "./sentiment.ts";

const { connection, close } = await connect();
const classifier = createClassifier(connection).withPerf();

for (const time of ["first", "again"]) {
  const start = performance.now();
  console.log(await classifier.invoke({ message: "The refund is late and the support is useless. I need help immediately!" }));
  console.log(`(${time}: ${Math.round(performance.now() - start)} ms)`);
}
await close();
