import "langchain-perf/register";
import { connect } from "../connect.ts";
import { Conversation, createChat } from "./chat.ts";

const { connection, close } = await connect();
const chat = createChat(connection).withPerf();

for (const customer of ["first customer", "next customer"]) {
  const conversation = new Conversation(chat);
  for (const question of ["My card still has not arrived", "Is a lost card replaced free of charge?"]) {
    const start = performance.now();
    process.stdout.write(`${question}\n> `);
    for await (const text of conversation.ask(question)) process.stdout.write(text);
    console.log(`\n(${customer}: ${Math.round(performance.now() - start)} ms)`);
  }
}
await close();
