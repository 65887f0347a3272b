import "langchain-perf/register";
import { perfOf } from "langchain-perf";
import { connect } from "./connect.ts";
import { createClassifier } from "./sentiment/sentiment.ts";

const { connection, close } = await connect();
const classifier = createClassifier(connection); // your program, unchanged
const fast = classifier.withPerf(); // the one line

const message = "My card was stolen, please help!";
console.log(await fast.invoke({ message })); // asks the model
console.log(await fast.invoke({ message })); // answered from memory
console.log(perfOf(fast)?.stats().kinds.chat);
await close();
