import type { Alarm } from "../../core/clock.ts";
import type { Usage } from "../../core/facts.ts";
import type { ResolvedDeployment } from "./deployment.ts";

/** What routes need of their perf. */
export interface RouteTools {
  readonly clock: Alarm;
  /** 0 to 1, 1 excluded. */
  random(): number;
  /** Whether limits below wait as long as a provider's refusal asks for. */
  readonly isLimited: boolean;
  /** When whoever refused wants to be asked again, by the error or the response that it was made of, milliseconds; `undefined` = it did not say. */
  retryAfterMs(error: unknown, status: number | undefined, headers: ReadonlyMap<string, string> | undefined): number | undefined;
  costOf(deployment: ResolvedDeployment, usage: Usage): number | undefined;
}
