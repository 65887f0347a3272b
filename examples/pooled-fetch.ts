import { ChatOpenAI } from "@langchain/openai";
import { pooledFetch } from "langchain-perf/http";
import { connect } from "./connect.ts";

const { connection, close } = await connect();
const fetch = pooledFetch({ connections: 8, keepAliveMs: 60_000 });
const model = new ChatOpenAI({ ...connection, model: "gpt-4o-mini", configuration: { ...connection.configuration, fetch } });

const questions = Array.from({ length: 16 }, (_, at) => `What is ${at} + ${at}?`);
const answers = await Promise.all(questions.map((question) => model.invoke(question)));
const { opened, reused, failed } = fetch.stats();
console.log(`${answers.length} answers over ${opened} connections: ${reused} requests found one open, ${failed} failed`);

await fetch.close();
await close();
