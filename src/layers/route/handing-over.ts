import type { Kind, Mode } from "../../core/layer.ts";
import type { Deployment } from "./deployment.ts";
import { snapshotsOf } from "./flaws.ts";
import type { Trial } from "./trial.ts";

/** Makes parts of an answer that could only be had whole, where it is wanted so. */
export async function readyIn(mode: Mode, trial: Trial, kind: Kind): Promise<void> {
  if (trial.answer.mode === mode || mode === "invoke") return;
  const parts = kind.convert(snapshotsOf(trial, kind), mode);
  trial.ahead.splice(0, Infinity, ...(Symbol.asyncIterator in parts ? await Array.fromAsync(parts) : parts));
}

/** Writes into a part who gave it. What cannot be written on is as good an answer. */
export function sign(part: unknown, { id, options: { model } }: Deployment, kind: Kind): void {
  try {
    kind.routing?.sign?.(part, { deployment: id, model });
  } catch {
    // It stays unsigned.
  }
}
