/** The thread that counts tokens: its tables take a tenth of a second to be ready and tens of megabytes. */
import { parentPort } from "node:worker_threads";
import type { TiktokenBPE } from "js-tiktoken/lite";
import { BytePairs } from "./byte-pairs.ts";
import type { Encoding } from "./encoding.ts";

/** Without texts: get the encoding ready. */
export interface Question {
  readonly id: number;
  readonly encoding: Encoding;
  readonly texts: readonly string[];
}

export interface Answer {
  readonly id: number;
  readonly tokens: number;
}

const TABLES: Readonly<Record<Encoding, () => Promise<{ default: TiktokenBPE }>>> = {
  o200k_base: () => import("js-tiktoken/ranks/o200k_base"),
  cl100k_base: () => import("js-tiktoken/ranks/cl100k_base"),
};

const ready = new Map<Encoding, Promise<BytePairs>>();

async function load(encoding: Encoding): Promise<BytePairs> {
  return new BytePairs((await TABLES[encoding]()).default);
}

// What fails ends the thread: whoever started it goes on with estimates.
parentPort?.on("message", async ({ id, encoding, texts }: Question) => {
  const loading = ready.get(encoding) ?? load(encoding);
  ready.set(encoding, loading);
  const pairs = await loading;
  let tokens = 0;
  for (const text of texts) tokens += pairs.count(text);
  parentPort?.postMessage({ id, tokens } satisfies Answer);
});
