import type { Call } from "./layer.ts";
import { orItself } from "./parts.ts";

/** Whether a call's parts are snapshots of an answer that another call paid for. */
export function isShared(call: Call): boolean {
  return call.facts.coalesced === "follower" || call.served !== undefined;
}

/** How parts leave the layers: the model's own for the call that pays, fresh ones for all others. */
export function shaper(call: Call, hit: boolean): (part: unknown) => unknown {
  return hit || isShared(call) ? orItself(call.kind.reissuer(call.mode, call.input)) : (part) => part;
}
