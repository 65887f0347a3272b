import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** One call of a recorded hour. */
export interface AzureCall {
  /** When it came, milliseconds after the first. */
  readonly atMs: number;
  readonly promptTokens: number;
  readonly answerTokens: number;
}

/** All calls of `azure-2023-<hour>.md`, in order. */
export function azureCalls(hour: "conv" | "code"): AzureCall[] {
  const lines = gunzipSync(readFileSync(new URL(`./azure-2023-${hour}.csv.gz`, import.meta.url))).toString().trim().split("\r\n").slice(1);
  const calls = lines.map((line) => line.split(","));
  const [first] = calls;
  const start = Date.parse(`${first?.[0]}Z`);
  return calls.map(([time, prompt, answer]) => ({ atMs: Date.parse(`${time}Z`) - start, promptTokens: Number(prompt), answerTokens: Number(answer) }));
}
