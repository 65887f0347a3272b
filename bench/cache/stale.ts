import { fork, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { eventually, type FaultProxy, faultProxy, redisCommand, type Server, startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import type { Order, Report } from "./stale-process.ts";

const PROCESSES = 4;
const NAMES = 200;
const CUT = [1, 2];

type Trouble = (redis: Server) => unknown;

const TROUBLES: Readonly<Record<string, Trouble>> = {
  "cut off": () => {},
  "cut off, and Redis restarted empty": async (redis) => {
    await redis.kill();
    await redis.start();
  },
  "cut off, and Redis flushed": (redis) => redisCommand(redis.port, "FLUSHALL"),
};

export const measure: Measure = async () => {
  const stale: Record<string, number> = {};
  for (const [name, trouble] of Object.entries(TROUBLES)) stale[name] = await staleAnswers(trouble);
  const note = Object.entries(stale).map(([name, count]) => `${name} ${count}`).join("; ");
  return { stale_after_invalidate: { value: Object.values(stale).reduce((sum, count) => sum + count), note: `${note}; of ${2 * PROCESSES * NAMES} answers each` } };
};

async function staleAnswers(trouble: Trouble): Promise<number> {
  await using redis = await startRedis();
  const processes = await Promise.all(Array.from({ length: PROCESSES }, () => Process.behindProxy(redis)));
  const truth = new Map(Array.from({ length: NAMES }, (_, at) => [`name ${at}`, 1]));
  try {
    const known = [...truth.keys()].slice(0, NAMES / 2);
    const unknown = [...truth.keys()].slice(NAMES / 2);
    for (const process of processes) await process.ask(truth, known);
    await allHear(processes);
    for (const at of CUT) processes[at]?.proxy.cut();
    // What those who are cut off keep now reaches Redis only after the invalidation.
    for (const process of processes) await process.ask(truth, unknown);
    await change(processes[0] as Process, truth, (at) => at % 2 === 0);
    await change(processes[1] as Process, truth, (at) => at % 3 === 0);
    await trouble(redis);
    await change(processes[3] as Process, truth, (at) => at % 5 === 0);
    for (const at of CUT) processes[at]?.proxy.heal();
    await allHear(processes);
    return (await staleNow(processes, truth)) + (await staleNow(processes, truth));
  } finally {
    await Promise.all(processes.map((process) => process.stop()));
  }
}

/** From now on another answer is true, and a process says so. */
async function change(process: Process, truth: Map<string, number>, isChanged: (at: number) => boolean): Promise<void> {
  const changed = [...truth.keys()].filter((_, at) => isChanged(at));
  for (const name of changed) truth.set(name, (truth.get(name) ?? 0) + 1);
  await process.order({ invalidate: changed });
}

/** Ends when every process hears of what every other one invalidates, hence of all that was invalidated before. */
async function allHear(processes: readonly Process[]): Promise<void> {
  for (const speaker of processes) {
    const name = `probe ${randomUUID()}`;
    for (const process of processes) await process.order({ ask: [[name, 1]] });
    await speaker.order({ invalidate: [name] });
    for (const process of processes) await eventually(async () => (await process.order({ ask: [[name, 2]] }))[0] === 2, { timeoutMs: 30_000 });
  }
}

async function staleNow(processes: readonly Process[], truth: ReadonlyMap<string, number>): Promise<number> {
  const answers = await Promise.all(processes.map((process) => process.ask(truth, [...truth.keys()])));
  return answers.flat().filter(({ name, version }) => version !== truth.get(name)).length;
}

/** One of the processes, and its way to Redis. */
class Process {
  readonly proxy: FaultProxy;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answers: readonly number[]) => void>();
  #orders = 0;

  static async behindProxy(redis: Server): Promise<Process> {
    return new Process(await faultProxy(redis.port));
  }

  constructor(proxy: FaultProxy) {
    this.proxy = proxy;
    this.#child = fork(fileURLToPath(new URL("./stale-process.ts", import.meta.url)), [`redis://127.0.0.1:${proxy.port}`], { execArgv: [] });
    this.#child.on("message", ({ id, answers }: Report) => this.#waiting.get(id)?.(answers));
  }

  order(order: { ask: readonly (readonly [string, number])[] } | { invalidate: readonly string[] }): Promise<readonly number[]> {
    const id = (this.#orders += 1);
    const { promise, resolve } = Promise.withResolvers<readonly number[]>();
    this.#waiting.set(id, resolve);
    this.#child.send({ id, ...order } satisfies Order);
    return promise.finally(() => this.#waiting.delete(id));
  }

  async ask(truth: ReadonlyMap<string, number>, names: readonly string[]): Promise<{ name: string; version: number }[]> {
    const versions = await this.order({ ask: names.map((name) => [name, truth.get(name) ?? 0] as const) });
    return names.map((name, at) => ({ name, version: versions[at] ?? Number.NaN }));
  }

  async stop(): Promise<void> {
    await this.proxy.close();
    const exited = once(this.#child, "exit");
    this.#child.kill();
    await exited;
  }
}
