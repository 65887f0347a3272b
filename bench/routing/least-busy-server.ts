/** Deployments of eight places each, first come first served, for `least-busy.ts`, in a process of their own: an OpenAI-compatible server for each speed. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

export const SLOTS = 8;

/** A deployment, and the factor by which time is shorter than it is meant. */
interface Pace {
  readonly speed: number;
  readonly compression: number;
}

export interface SlotServers {
  /** One for each speed. */
  readonly baseURLs: readonly string[];
  close(): Promise<void>;
}

/** Milliseconds that a request is worked on at speed 1. */
export function workMs(promptTokens: number, answerTokens: number): number {
  return 200 + 0.05 * promptTokens + 20 * answerTokens;
}

/** A prompt of so many tokens, as the route estimates them, that says how long its answer is. */
export function promptOf(promptTokens: number, answerTokens: number): string {
  return `${promptTokens} ${answerTokens} `.padEnd(promptTokens * 4, "word ");
}

export async function slotServers(speeds: readonly number[], compression: number): Promise<SlotServers> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(speeds.map((speed): Pace => ({ speed, compression })))], { execArgv: [] });
  const exited = once(child, "exit");
  const [baseURLs] = (await Promise.race([once(child, "message"), exited.then(() => Promise.reject(new Error("The servers did not start.")))])) as [string[]];
  return {
    baseURLs,
    close: async () => {
      child.disconnect();
      await exited;
    },
  };
}

/** Each request takes the place that is free first, at the time at which it is free. */
function slotServer({ speed, compression }: Pace): Server {
  const freeAt = Array.from({ length: SLOTS }, () => 0);
  return createServer(async (request, response) => {
    const { promptTokens, answerTokens } = await sizesIn(request);
    const now = performance.now();
    const place = freeAt.indexOf(Math.min(...freeAt));
    const endsAt = Math.max(now, freeAt[place] as number) + workMs(promptTokens, answerTokens) / speed / compression;
    freeAt[place] = endsAt;
    setTimeout(() => response.setHeader("content-type", "application/json").end(completion(promptTokens, answerTokens)), endsAt - now);
  });
}

async function sizesIn(request: IncomingMessage): Promise<{ promptTokens: number; answerTokens: number }> {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += String(chunk);
  const { messages } = JSON.parse(body) as { messages: { content: string }[] };
  const [promptTokens, answerTokens] = (messages[0]?.content ?? "").split(" ", 2).map(Number) as [number, number];
  return { promptTokens, answerTokens };
}

function completion(promptTokens: number, answerTokens: number): string {
  return JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "gpt-4o-mini",
    choices: [{ index: 0, message: { role: "assistant", content: "done" }, finish_reason: "stop" }],
    usage: { prompt_tokens: promptTokens, completion_tokens: answerTokens, total_tokens: promptTokens + answerTokens },
  });
}

if (import.meta.main && process.send) {
  const servers = (JSON.parse(process.argv[2] ?? "[]") as Pace[]).map(slotServer);
  for (const server of servers) await once(server.listen(0, "127.0.0.1", 1_024), "listening");
  process.once("disconnect", () => process.exit());
  process.send(servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`));
}
