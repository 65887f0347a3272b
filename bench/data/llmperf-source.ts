import { gunzipSync } from "node:zlib";

interface RawCall {
  error_code: unknown;
  ttft_s: number;
  end_to_end_latency_s: number;
  number_output_tokens: number;
}

/** One successful call of the leaderboard's raw data. */
export interface MeasuredCall {
  ttftMs: number;
  interTokenMs: number;
}

/** The successful calls of each file of the archive, by provider and model. */
export function successfulCalls(archive: Uint8Array): Map<string, MeasuredCall[]> {
  const calls = new Map<string, MeasuredCall[]>();
  for (const [path, content] of filesOf(gunzipSync(archive))) {
    const pair = /([^/]+)\.json$/.exec(path)?.[1];
    if (pair !== undefined) calls.set(pair, (JSON.parse(content.toString()) as RawCall[]).flatMap(measure));
  }
  return calls;
}

function measure(call: RawCall): MeasuredCall[] {
  if (call.error_code !== null || call.number_output_tokens < 2) return [];
  const afterFirst = call.end_to_end_latency_s - call.ttft_s;
  return [{ ttftMs: call.ttft_s * 1_000, interTokenMs: (Math.max(0, afterFirst) * 1_000) / (call.number_output_tokens - 1) }];
}

const BLOCK = 512;

/** Names and contents of a tar archive's plain files. */
function* filesOf(tar: Buffer): Generator<[string, Buffer]> {
  for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0; ) {
    const text = (from: number, length: number): string => tar.toString("utf8", at + from, at + from + length).replace(/\0.*$/s, "");
    const size = Number.parseInt(text(124, 12), 8);
    const start = at + BLOCK;
    if (text(156, 1) === "0" || text(156, 1) === "") yield [text(0, 100), tar.subarray(start, start + size)];
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
}
