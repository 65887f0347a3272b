import type { ChatOpenAI } from "@langchain/openai";
import { createPerf, withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { simulatorProcess } from "../harness/simulator-process.ts";
import { modelAt, requestsOf } from "./outage-provider.ts";

const CALLS = 100_000;
const CALLERS = 64;
/** One rule after the other has its chance at a request: together they strike 3.2% of them. */
const FAULTS = ["status=503,probability=0.016", "status=500,probability=0.008", "reset,probability=0.0083"];
const QUESTIONS = Array.from({ length: 50 }, (_, number) => `How do I return broken lamp number ${number}?`);

interface Tally {
  asked: number;
  failed: number;
  wrong: number;
  readonly errors: Map<string, number>;
}

/** As fast as the callers can ask: both deployments answer at once, so that the shares come from as many calls as possible. */
export const measure: Measure = async () => {
  const answers = await rightAnswers();
  const simulators = await Promise.all([11, 12].map((seed) => simulatorProcess({ faults: FAULTS, seed })));
  const deployments = simulators.map(({ baseURL }, at) => ({ id: `deployment ${at}`, model: modelAt(baseURL) }));
  await using perf = createPerf({ routing: { deployments }, retry: { maxRetries: 2 } });
  const attempts = { made: 0, failed: 0 };
  perf.on("call", (facts) => {
    attempts.made += facts.attempts.length;
    attempts.failed += facts.attempts.filter(({ error }) => error !== undefined).length;
  });
  try {
    const [first] = deployments as [(typeof deployments)[number]];
    const { failed, wrong, errors } = await askAll(withPerf(first.model, perf), answers);
    const upstream = (await Promise.all(simulators.map(({ baseURL }) => requestsOf(baseURL)))).reduce((sum, requests) => sum + requests, 0);
    const seen = [...errors].map(([message, times]) => `${times} × ${message}`).join(", ");
    return {
      errors_3pct: {
        value: (100 * (failed + wrong)) / CALLS,
        note: `of ${shown(CALLS)} calls ${failed} failed${seen && ` (${seen})`}, ${wrong} got another answer; ${shown((100 * attempts.failed) / attempts.made)}% of the attempts failed`,
      },
      amplification: { value: upstream / CALLS, note: `${shown(upstream)} upstream calls` },
    };
  } finally {
    await Promise.all(simulators.map((simulator) => simulator.close()));
  }
};

async function askAll(model: ChatOpenAI, answers: ReadonlyMap<string, string>): Promise<Tally> {
  const tally: Tally = { asked: 0, failed: 0, wrong: 0, errors: new Map() };
  const caller = async (): Promise<void> => {
    while (tally.asked < CALLS) {
      const question = QUESTIONS[tally.asked++ % QUESTIONS.length] as string;
      try {
        if ((await model.invoke(question)).text !== answers.get(question)) tally.wrong += 1;
      } catch (error) {
        tally.failed += 1;
        const message = (error as Error).message;
        tally.errors.set(message, (tally.errors.get(message) ?? 0) + 1);
      }
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return tally;
}

/** By a provider that does not fail. */
async function rightAnswers(): Promise<Map<string, string>> {
  const simulator = await simulatorProcess();
  try {
    const model = modelAt(simulator.baseURL);
    return new Map(await Promise.all(QUESTIONS.map(async (question) => [question, (await model.invoke(question)).text] as const)));
  } finally {
    await simulator.close();
  }
}
