import { OptionError } from "../core/errors.ts";
import { OptionReader } from "../core/options.ts";
import { MEASURED_CALLS } from "./llmperf.ts";
import type { Random } from "./random.ts";

/**
 * How long answers take:
 * - `"none"`: no waiting
 * - `"agent"`: a whole answer takes a log-normal time, mean 1,500 ms, standard deviation 800 ms
 * - a measured provider and model, e.g. `"together_13b"` (see `LATENCY_PROFILES`)
 * - fixed times, or a log-normal time of a whole answer
 */
export type Latency = "none" | "agent" | LatencyProfile | (string & {}) | { ttftMs: number; interTokenMs: number } | { meanMs: number; sdMs: number };

/** One answer's timing. */
export interface Timing {
  firstTokenMs: number;
  interTokenMs: number;
}

/** Draws the timing of an answer of `tokens` tokens. */
export type LatencyModel = (tokens: number, random: Random) => Timing;

/** A measured provider and model. */
export type LatencyProfile = keyof typeof MEASURED_CALLS;

/** Names of the measured provider and model pairs. */
export const LATENCY_PROFILES: readonly string[] = Object.keys(MEASURED_CALLS);

const AGENT = { meanMs: 1_500, sdMs: 800 };
/** The share of a whole answer's time that passes before its first token. */
const FIRST_SHARE = 0.3;

export function resolveLatency(latency: unknown, speed: number): LatencyModel {
  const draw = modelOf(latency);
  return (tokens, random) => {
    const { firstTokenMs, interTokenMs } = draw(tokens, random);
    return { firstTokenMs: firstTokenMs / speed, interTokenMs: interTokenMs / speed };
  };
}

function modelOf(latency: unknown): LatencyModel {
  if (latency === "none") return () => ({ firstTokenMs: 0, interTokenMs: 0 });
  if (latency === "agent") return logNormal(AGENT.meanMs, AGENT.sdMs);
  if (typeof latency === "string" && Object.hasOwn(MEASURED_CALLS, latency)) return measured(MEASURED_CALLS[latency as LatencyProfile]);
  if (typeof latency !== "object" || latency === null) {
    throw new OptionError("latency", `"none", "agent", one of ${LATENCY_PROFILES.join(", ")}, { ttftMs, interTokenMs } or { meanMs, sdMs }`, latency);
  }
  const reader = new OptionReader("latency", latency);
  const whole = "meanMs" in latency || "sdMs" in latency;
  const [first, second] = (whole ? (["meanMs", "sdMs"] as const) : (["ttftMs", "interTokenMs"] as const)).map((name) => {
    const value = reader.number(name, { default: undefined, min: 0 });
    if (value === undefined) throw new OptionError(reader.pathOf(name), "a number of milliseconds", value);
    return value;
  });
  reader.end();
  return whole ? logNormal(first!, second!) : () => ({ firstTokenMs: first!, interTokenMs: second! });
}

/** One of the measured calls, each as likely as the others: the pair of times stays together as it was measured. */
function measured(calls: readonly number[]): LatencyModel {
  const count = calls.length / 2;
  return (_tokens, random) => {
    const at = Math.floor(random() * count) * 2;
    return { firstTokenMs: calls[at]!, interTokenMs: calls[at + 1]! };
  };
}

/** A whole answer's time with this mean and standard deviation. */
function logNormal(mean: number, deviation: number): LatencyModel {
  const variance = mean === 0 ? 0 : Math.log(1 + (deviation / mean) ** 2);
  const location = mean === 0 ? -Infinity : Math.log(mean) - variance / 2;
  return (tokens, random) => {
    const total = Math.exp(location + Math.sqrt(variance) * normal(random));
    if (tokens <= 1) return { firstTokenMs: total, interTokenMs: 0 };
    return { firstTokenMs: total * FIRST_SHARE, interTokenMs: (total * (1 - FIRST_SHARE)) / (tokens - 1) };
  };
}

/** A standard normal number (Box and Muller). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
