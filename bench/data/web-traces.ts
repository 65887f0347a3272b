import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** See `web-traces.md`. */
export type WebTrace = "web07" | "web12";

/** The keys that were asked for, in order. */
export function webTrace(name: WebTrace): string[] {
  const bytes = gunzipSync(readFileSync(new URL(`./${name}.i32be.gz`, import.meta.url)));
  return Array.from({ length: bytes.length / 4 }, (_, at) => String(bytes.readInt32BE(at * 4)));
}

/** How many entries a cache holds that has room for this share of the trace's different keys. */
export function roomFor(share: number, trace: readonly string[]): number {
  return Math.floor(share * new Set(trace).size);
}
