import type { ServerResponse } from "node:http";
import type { Plan } from "./plan.ts";

/** Times below this are not waited for: a timer is no more exact. */
const TOLERANCE_MS = 0.5;

/**
 * Sends a plan; `onFirst` is called when the first part goes out. Settles when all is sent, or when the client has left.
 * Frames that are due together go out in one write.
 */
export async function send(response: ServerResponse, plan: Plan, signal: AbortSignal, onFirst: () => void): Promise<void> {
  if (signal.aborted) return;
  if (plan.ending === "reset") {
    response.socket?.resetAndDestroy();
    return;
  }
  if (plan.ending === "silent") return gone(signal);
  const stream = plan.contentType.startsWith("text/event-stream");
  if (!stream) return sendWhole(response, plan, signal, onFirst);
  const { firstTokenMs, interTokenMs } = plan.timing;
  if (firstTokenMs === 0 && interTokenMs === 0) {
    writeHead(response, plan, onFirst);
    return finish(response, plan, join(plan, 0, plan.frames.length), signal);
  }
  await sendPaced(response, plan, signal, onFirst);
}

async function sendWhole(response: ServerResponse, plan: Plan, signal: AbortSignal, onFirst: () => void): Promise<void> {
  await wait(plan.timing.firstTokenMs, signal);
  if (signal.aborted) return;
  const body = join(plan, 0, plan.frames.length);
  writeHead(response, plan, onFirst, plan.ending === "end" ? Buffer.byteLength(body) : undefined);
  await finish(response, plan, body, signal);
}

function writeHead(response: ServerResponse, { status, contentType, headers }: Plan, onFirst: () => void, length?: number): void {
  onFirst();
  response.writeHead(status, { "content-type": contentType, ...(length !== undefined && { "content-length": length }), ...headers });
}

/**
 * Sends each frame when it is due: the first timed one after the first token's time, each later one a token's time after.
 * One timer and one listener a stream, not a token: there may be a hundred streams.
 */
async function sendPaced(response: ServerResponse, plan: Plan, signal: AbortSignal, onFirst: () => void): Promise<void> {
  const startedAt = performance.now();
  const due = dueTimes(plan);
  let at = 0;
  let last = "";
  await new Promise<void>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve();
    };
    const step = (): void => {
      const now = performance.now() - startedAt + TOLERANCE_MS;
      const from = at;
      while (at < due.length && due[at]! <= now) at++;
      const text = join(plan, from, at);
      if (at < due.length) {
        if (text !== "") writePart(response, plan, text, onFirst);
        timer = setTimeout(step, due[at]! - now + TOLERANCE_MS);
      } else {
        last = text;
        stop();
      }
    };
    signal.addEventListener("abort", stop, { once: true });
    step();
  });
  if (signal.aborted) return;
  if (!response.headersSent) writeHead(response, plan, onFirst);
  await finish(response, plan, last, signal);
}

function writePart(response: ServerResponse, plan: Plan, text: string, onFirst: () => void): void {
  if (!response.headersSent) writeHead(response, plan, onFirst);
  response.write(text);
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
