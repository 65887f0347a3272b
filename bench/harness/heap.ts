import { setImmediate as turn } from "node:timers/promises";

/** Bytes of the heap that are really in use: after full collections, with time in between for weak references to clear. */
export async function heapInUse(): Promise<number> {
  if (!globalThis.gc) throw new Error("Run this with --expose-gc.");
  for (let pass = 0; pass < 4; pass++) {
    await turn();
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}
