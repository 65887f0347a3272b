import { PerfError } from "../../core/errors.ts";

/**
 * Why an entry does not open. `version`: written by an older or newer version of this library. `key`: encrypted with a key that is not
 * ours, or not encrypted although ours are. `tampered`: changed, or moved here from another key, namespace or tenant. `malformed`: nothing that we write.
 */
export type SealReason = "version" | "key" | "tampered" | "malformed";

/** An entry does not open: a miss, and never the caller's error. */
export class SealError extends PerfError {
  readonly reason: SealReason;

  constructor(reason: SealReason, what: string, cause?: unknown) {
    super("PERF_SEAL", `The entry does not open: ${what}.`, { cause });
    this.reason = reason;
  }
}
