import { PerfError } from "../errors.ts";

/** A value cannot leave this process without loss: its answer is kept in this process alone. */
export class UnencodableError extends PerfError {
  constructor(what: string) {
    super("PERF_UNENCODABLE", `${what} cannot leave this process without loss.`);
  }
}

/** Text or bytes are not what our codecs write: a miss, whoever wrote them. */
export class MalformedError extends PerfError {
  constructor(what: string, cause?: unknown) {
    super("PERF_MALFORMED", `Not what this version writes: ${what}.`, { cause });
  }
}
