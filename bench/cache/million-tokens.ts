import { HumanMessage } from "@langchain/core/messages";
import { withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";
import { measured } from "../harness/measured.ts";
import { quartiles, type Quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";
import { markdown } from "./generations.ts";

const ROUNDS = 31;
const WARM_UP_ROUNDS = 5;
/** About four characters a token. */
const LENGTH = 4_000_000;
const MESSAGES = 400;

export const measure: Measure = async () => {
  const [text, conversation] = [await hits(1), await hits(MESSAGES)];
  return { hit_ms_1m_tokens: measured(text, `one message; ${MESSAGES} messages ${shown(conversation.median)} ms`) };
};

/** Every prompt is a new object, as one that came over a network is. */
async function hits(messages: number): Promise<Quartiles> {
  const fake = new FakeModel();
  const model = withPerf(fake);
  const took: number[] = [];
  for (let round = -WARM_UP_ROUNDS - 1; round < ROUNDS; round++) {
    const prompt = Array.from({ length: messages }, (_, at) => new HumanMessage(flat(`${at} ${markdown(LENGTH / messages, at)}`)));
    const started = performance.now();
    await model.invoke(prompt);
    if (round >= 0) took.push(performance.now() - started);
  }
  if (fake.calls !== 1) throw new Error("These were no hits.");
  return quartiles(took);
}

/** One piece of memory of its own. */
function flat(text: string): string {
  return Buffer.from(text).toString();
}
