import type { ServerResponse } from "node:http";
import type { Plan } from "./plan.ts";

/** Times below this are not waited for: a timer is no more exact. */
const TOLERANCE_MS = 0.5;

/**
 * Sends a plan; `onFirst` is called when the first part goes out. Settles when all is sent, or when the client has left.
 * Frames that are due together go out in one write.
 */
export async function send(response: ServerResponse, plan: Plan, signal: AbortSignal, onFirst: () => void): Promise<void> {
  if (plan.ending === "reset") {
    response.socket?.resetAndDestroy();
    return;
  }
  if (plan.ending === "silent") return gone(signal);
  const stream = plan.contentType.startsWith("text/event-stream");
  if (!stream) return sendWhole(response, plan, signal, onFirst);
  const { firstTokenMs, interTokenMs } = plan.timing;
  if (firstTokenMs === 0 && interTokenMs === 0) {
    onFirst();
    writeHead(response, plan);
    return finish(response, plan, join(plan, 0, plan.frames.length), signal);
  }
  await sendPaced(response, plan, signal, onFirst);
}

async function sendWhole(response: ServerResponse, plan: Plan, signal: AbortSignal, onFirst: () => void): Promise<void> {
  await wait(plan.timing.firstTokenMs, signal);
  if (signal.aborted) return;
  const body = join(plan, 0, plan.frames.length);
  onFirst();
  writeHead(response, plan, plan.ending === "end" ? Buffer.byteLength(body) : undefined);
  await finish(response, plan, body, signal);
}

function writeHead(response: ServerResponse, { status, contentType, headers }: Plan, length?: number): void {
  response.writeHead(status, { "content-type": contentType, ...(length !== undefined && { "content-length": length }), ...headers });
}

/** Sends each frame when it is due: the first timed one after the first token's time, each later one a token's time after. */
async function sendPaced(response: ServerResponse, plan: Plan, signal: AbortSignal, onFirst: () => void): Promise<void> {
  const startedAt = performance.now();
  const due = dueTimes(plan);
  let at = 0;
  while (at < plan.frames.length) {
    await wait(due[at]! - (performance.now() - startedAt), signal);
    if (signal.aborted) return;
    const from = at;
    const now = performance.now() - startedAt + TOLERANCE_MS;
    while (at < plan.frames.length && due[at]! <= now) at++;
    if (from === at) continue;
    if (from === 0) {
      onFirst();
      writeHead(response, plan);
    }
    if (at < plan.frames.length) response.write(join(plan, from, at));
    else return finish(response, plan, join(plan, from, at), signal);
  }
  onFirst();
  writeHead(response, plan);
  await finish(response, plan, "", signal);
}

/** When each frame goes out: one that is not timed goes with the timed frame before it, at the start with the first. */
function dueTimes({ frames, timing }: Plan): number[] {
  const due: number[] = [];
  let time = timing.firstTokenMs;
  let seen = 0;
  for (const frame of frames) {
    if (frame.timed && seen++ > 0) time += timing.interTokenMs;
    due.push(time);
  }
  return due;
}

function join({ frames }: Plan, from: number, to: number): string {
  let text = "";
  for (let at = from; at < to; at++) text += frames[at]!.data;
  return text;
}

async function finish(response: ServerResponse, { ending }: Plan, last: string, signal: AbortSignal): Promise<void> {
  if (ending === "end") {
    response.end(last);
    return;
  }
  if (last === "") response.flushHeaders();
  if (ending === "hang") {
    if (last !== "") response.write(last);
    return gone(signal);
  }
  // What was sent must arrive before the connection breaks.
  if (last !== "") await new Promise<void>((resolve) => void response.write(last, () => resolve()));
  response.destroy();
}

function wait(durationMs: number, signal: AbortSignal): Promise<void> {
  if (durationMs <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, durationMs);
    signal.addEventListener("abort", done, { once: true });
  });
}

function gone(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
