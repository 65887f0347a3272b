import { StreamInterruptedError } from "../../core/errors.ts";
import type { Answer, Kind } from "../../core/layer.ts";
import { failureKind, type FailureKind } from "./failures.ts";
import type { Trial } from "./trial.ts";

/** Why an answer that did not fail of itself is none. */
export class Flaw {
  readonly kind: FailureKind;
  readonly error: unknown;
  /** Whether it is better than none all the same. */
  readonly isOfUse: boolean;

  constructor(kind: FailureKind, error: unknown, isOfUse: boolean) {
    this.kind = kind;
    this.error = error;
    this.isOfUse = isOfUse;
  }
}

/** What is wrong with an answer that came to its end. @param mindsFilter whether a filtered answer is none */
export function flawOf(trial: Trial, kind: Kind, mindsFilter: boolean): Flaw | undefined {
  const { answer, input, told } = trial;
  // Some classes swallow their failures, and then give nothing for an answer; others have found another way to one.
  if (told && (kind.routing?.isEmpty(answer) ?? true)) return new Flaw(kindOf(trial, told.error), told.error, true);
  if (kind.routing?.isCut(answer, input)) return new Flaw("interrupted", new StreamInterruptedError(0, "The answer"), false);
  const isFiltered = mindsFilter && kind.completeness(snapshotsOf(trial, kind), input) === "filtered";
  return isFiltered ? new Flaw("content-filter", new Error("the provider's filter ended the answer"), true) : undefined;
}

/** The answer as kinds want it that give it to others. */
export function snapshotsOf({ answer: { mode, parts } }: Trial, kind: Kind): Answer {
  return { mode, parts: mode === "invoke" ? parts.map(kind.packer(mode)) : parts };
}

/** What a request failed of. */
export function kindOf(trial: Trial, error: unknown): FailureKind {
  return failureKind(error, { status: trial.status, hasBegun: trial.packed.length > 0 });
}
