import { resolveWith } from "../../../src/core/options.ts";
import { LocalLimiter } from "../../../src/limits/local.ts";
import { readLimits, type LimiterOptions } from "../../../src/limits/options.ts";
import { VirtualTime } from "../../support/virtual-time.ts";

/** A local limiter in virtual time. */
export function limiterAt(options: LimiterOptions, time = new VirtualTime()): { readonly time: VirtualTime; readonly limiter: LocalLimiter } {
  return { time, limiter: new LocalLimiter(resolveWith("localLimiter", options, readLimits), time) };
}
