import { createPerf, type CacheOptions, type CallFacts, type Perf } from "langchain-perf";
import { onTestFinished } from "vitest";
import { startRedis, type Server } from "../../support/services.ts";
import { temporarySqlite } from "./temporary.ts";

/** One life of a program: a perf with an empty memory, and the facts of its calls. */
export interface Life {
  readonly perf: Perf;
  readonly facts: CallFacts[];
  /** Statuses and tiers of the calls so far, of those that somebody waited for. */
  readonly found: () => string[];
}

/** Begins a life over the tiers of these options; it ends with the test at the latest. */
export function life(cache: CacheOptions): Life {
  const perf = createPerf({ cache, coalesce: true });
  const facts: CallFacts[] = [];
  perf.on("call", (call) => {
    if (call.kind !== "chain") facts.push(call);
  });
  onTestFinished(() => perf.close());
  const found = (): string[] => facts.filter(({ background }) => !background).map(({ cache: at }) => `${at?.status}${at?.tier ? ` ${at.tier}` : ""}`);
  return { perf, facts, found };
}

/** Lets a life end as a process does: what is to be written is written. */
export async function end({ perf }: Life): Promise<void> {
  await perf.close();
}

export type FarName = "redis" | "persistent";

/** Deadlines are not what these tests are about, and the machine may be busy. */
const PATIENCE_MS = 2_000;

let server: Promise<Server> | undefined;
let namespaces = 0;

/** Options of a cache with one far tier that nobody else sees, and whose entries come to memory only when they are asked for. */
export async function farTier(name: FarName): Promise<CacheOptions> {
  if (name === "persistent") return { persistent: temporarySqlite().address, persistentTimeoutMs: PATIENCE_MS, warmStart: false };
  server ??= startRedis();
  namespaces += 1;
  return { redis: { url: (await server).url, timeoutMs: PATIENCE_MS }, namespace: `test ${namespaces}`, warmStart: false };
}

/** Ends the Redis of this file's tests, if one was started. */
export async function endRedis(): Promise<void> {
  await (await server)?.[Symbol.asyncDispose]();
  server = undefined;
}
