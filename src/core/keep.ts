import type { Call } from "./layer.ts";
import { warn } from "./warn.ts";

/** Collects the snapshots of an answer while its parts go by. */
export interface Keep {
  add(part: unknown): void;
  /** `undefined` when one of the parts could not be copied. */
  parts(): readonly unknown[] | undefined;
}

/** One per call and reader. */
export function keepOf(call: Call): Keep {
  // Where a layer below makes snapshots anyway they are not made twice.
  if (call.snapshots) return { add: () => {}, parts: () => call.snapshots };
  // A follower's parts are snapshots already.
  const pack = call.facts.coalesced === "follower" ? (part: unknown) => part : call.kind.packer(call.mode);
  let kept: unknown[] | undefined = [];
  const add = (part: unknown): void => {
    try {
      kept?.push(pack(part));
    } catch (error) {
      kept = undefined;
      warn("an answer is not kept", error);
    }
  };
  return { add, parts: () => kept };
}

/** Where nobody keeps the answer: the parts themselves, to count its tokens by. */
export function collectOriginals(): Keep {
  const originals: unknown[] = [];
  return { add: (part) => void originals.push(part), parts: () => originals };
}
