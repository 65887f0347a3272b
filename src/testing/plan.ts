import type { FaultRule } from "./fault-rules.ts";
import type { Timing } from "./latency.ts";
import { sse, type ApiFormat, type Frame } from "./reply.ts";

/** What goes over the wire for one request, and how it ends. */
export interface Plan {
  status: number;
  contentType: string;
  headers: Record<string, string>;
  frames: Frame[];
  timing: Timing;
  /** `hang`: nothing more comes; `destroy`: the connection breaks; `reset`: it breaks before any header; `silent`: not even headers come. */
  ending: "end" | "hang" | "destroy" | "reset" | "silent";
}

export const IMMEDIATELY: Timing = { firstTokenMs: 0, interTokenMs: 0 };

const DEFAULT_CHUNKS = 3;
const DEFAULT_SLOW_MS = 5_000;
const MALFORMED = sse('{"id":"malformed","choices":[{"delta":{"content":"');

/** Faults that make an answer of their own instead of spoiling one. */
export function planWithoutAnswer(fault: FaultRule, format: ApiFormat): Plan | undefined {
  const plan: Plan = { status: 200, contentType: "application/json", headers: {}, frames: [], timing: IMMEDIATELY, ending: "end" };
  switch (fault.kind) {
    case "reset":
    case "silent":
      return { ...plan, ending: fault.kind };
    case "status": {
      const status = fault.status ?? 500;
      const error = { status, message: fault.message ?? `Simulated error ${status}.`, type: errorType(status), code: "simulated_fault" };
      return { ...plan, status, headers: { ...fault.headers }, frames: [whole(JSON.stringify(format.errorBody(error)))] };
    }
    case "content-type":
      return { ...plan, contentType: fault.contentType ?? "text/html", frames: [whole("<!doctype html><title>Simulated</title><p>This is no JSON.</p>")] };
    default:
      return undefined;
  }
}

/** The plan with the fault in it. */
export function spoil(plan: Plan, fault: FaultRule, format: ApiFormat, stream: boolean): Plan {
  switch (fault.kind) {
    case "slow":
      return { ...plan, timing: { ...plan.timing, firstTokenMs: plan.timing.firstTokenMs + (fault.delayMs ?? DEFAULT_SLOW_MS) } };
    case "cut":
      return { ...plan, frames: cutFrames(plan.frames, fault, stream), ending: "destroy" };
    case "end":
      return { ...plan, frames: cutFrames(plan.frames, fault, stream) };
    case "stall":
      return { ...plan, frames: cutFrames(plan.frames, fault, stream), ending: "hang" };
    case "malformed":
      return stream ? { ...plan, frames: insert(plan.frames, fault, MALFORMED) } : { ...plan, frames: cutFrames(plan.frames, fault, stream) };
    case "no-done":
      return stream ? { ...plan, frames: plan.frames.slice(0, plan.frames.length - format.closingFrames) } : plan;
    case "error-event": {
      const error = { status: 500, message: fault.message ?? "Simulated error in the middle of the answer.", type: errorType(500), code: "simulated_fault" };
      if (!stream) return { ...plan, status: 500, frames: [whole(JSON.stringify(format.errorBody(error)))] };
      return { ...plan, frames: [...cutFrames(plan.frames, fault, stream), whole(format.errorFrame(error))] };
    }
    default:
      return plan;
  }
}

export function whole(data: string): Frame {
  return { data, timed: true };
}

/** The frames up to and with the n-th chunk; of a plain body the first half. */
function cutFrames(frames: Frame[], fault: FaultRule, stream: boolean): Frame[] {
  if (!stream) return frames.map((frame) => ({ ...frame, data: frame.data.slice(0, frame.data.length / 2) }));
  return frames.slice(0, positionAfter(frames, fault.afterChunks ?? DEFAULT_CHUNKS));
}

function insert(frames: Frame[], fault: FaultRule, data: string): Frame[] {
  const at = positionAfter(frames, fault.afterChunks ?? DEFAULT_CHUNKS);
  // Where events have names, one without is not read.
  const name = /^event: .*\n/.exec(frames[at]?.data ?? "")?.[0] ?? "";
  return [...frames.slice(0, at), { data: name + data, timed: true }, ...frames.slice(at)];
}

function positionAfter(frames: Frame[], chunks: number): number {
  let seen = 0;
  for (let at = 0; at < frames.length; at++) {
    if (frames[at]!.timed && seen++ === chunks) return at;
  }
  // Fewer chunks than that: everything but what closes the stream.
  return frames.findLastIndex((frame) => frame.timed) + 1;
}

/** The error types that OpenAI gives its statuses. */
export function errorType(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}
