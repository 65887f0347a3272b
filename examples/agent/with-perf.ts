import "langchain-perf/register";
import { connect } from "../connect.ts";
import { createSupportAgent } from "./agent.ts";

const { connection, close } = await connect();
const agent = createSupportAgent(connection).withPerf();

for (const time of ["first", "again"]) {
  const start = performance.now();
  const { messages } = await agent.invoke({ messages: [{ role: "user", content: "Where is my order A-1001?" }] });
  console.log(`${messages.at(-1)?.text}\n(${time}: ${Math.round(performance.now() - start)} ms)`);
}
await close();
