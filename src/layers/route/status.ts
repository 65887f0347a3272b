import type { CircuitState } from "./circuit.ts";
import type { Deployment } from "./deployment.ts";

/** How a deployment is. */
export interface DeploymentStatus {
  id: string;
  /** The model's name, where it has one. */
  model?: string;
  tags: readonly string[];
  /** Lower ones are asked first. */
  priority: number;
  weight: number;
  /** Of its circuit; `closed` where it has none. */
  circuit: CircuitState;
  /** Why it is not asked, or only after the others; absent = it is asked. */
  unavailable?: string;
  /** When it is asked again, where that is known, milliseconds. */
  retryAfterMs?: number;
  /** Of its usual share, while it warms up after a failure; 0 to 1. */
  share: number;
  /** Requests under way, other processes' and what its server tells of included. */
  inFlight: number;
  /** Means of late, milliseconds; absent = nothing is known yet. */
  latencyMs?: number;
  timeToFirstTokenMs?: number;
  /** Share of the requests of the circuit's window that failed, 0 to 1. */
  errorRate: number;
  /** Requests that were made of it, and those that failed, since it was added. */
  requests: number;
  failures: number;
  /** Share of its own quota that is left, 0 to 1; absent = none is known. */
  quotaLeft?: number;
  /** What the last request that it was to blame for failed of; the errors of a question itself (400, too long a prompt) are not among these. */
  lastError?: string;
  /** Why it could not take a question, the last time that it could not. */
  lastUnfit?: string;
}

/** @param now by the monotonic clock */
export function statusOf(deployment: Deployment, now: number): DeploymentStatus {
  const { id, options: { model, tags, priority }, weight, circuit, latency, inFlight, errorRate, requests, failures, quotaUsed, lastUnfit, lastError } = deployment;
  const waitMs = deployment.waitMs(now);
  const unavailable = deployment.whyNot(now) ?? deployment.disabledFor(now);
  return {
    id, tags, priority, weight, inFlight, errorRate, requests, failures,
    circuit: circuit?.state ?? "closed",
    share: deployment.share(now),
    ...(model === undefined ? {} : { model }),
    ...(unavailable === undefined ? {} : { unavailable }),
    ...(waitMs > 0 && waitMs < Infinity ? { retryAfterMs: waitMs } : {}),
    ...(latency.totalMs === undefined ? {} : { latencyMs: latency.totalMs }),
    ...(latency.firstMs === undefined ? {} : { timeToFirstTokenMs: latency.firstMs }),
    ...(quotaUsed === undefined ? {} : { quotaLeft: Math.max(0, 1 - quotaUsed) }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(lastUnfit === undefined ? {} : { lastUnfit }),
  };
}
