import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Measure, Measurements } from "./bench.ts";

/** Measures a group in a fresh process: no figure depends on what was compiled or kept for another. */
export async function measureGroup(moduleUrl: string): Promise<Measurements> {
  const child = fork(fileURLToPath(import.meta.url), [moduleUrl], { execArgv: ["--expose-gc"], serialization: "advanced" });
  let measured: Measurements | undefined;
  child.once("message", (message) => (measured = message as Measurements));
  const [code] = (await once(child, "exit")) as [number | null];
  if (!measured) throw new Error(`${moduleUrl} ended with code ${code} and without figures.`);
  return measured;
}

const [, , moduleUrl] = process.argv;
if (import.meta.main && process.send && moduleUrl !== undefined) {
  const { measure } = (await import(moduleUrl)) as { measure: Measure };
  const figures = await measure();
  process.send(figures, () => process.disconnect());
}
