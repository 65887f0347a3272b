import type { FrameSealer } from "../../stores/leases.ts";
import type { Sealer } from "./seal.ts";

/** Seals what is no entry, such as pieces of an answer under way, in the way of entries. */
export function frameSealer(sealer: Sealer, namespace: string): FrameSealer {
  return {
    seal(call, place, bytes) {
      const { tenant } = call.control;
      const times = { storedAt: 0, freshUntil: 0, staleUntil: 0, usableUntil: 0 };
      return sealer.seal(place, { kind: call.kind.name, ...times, namespace, ...(tenant === undefined ? {} : { tenant }) }, bytes);
    },
    open: (call, place, bytes) => sealer.open(place, { namespace, tenant: call.control.tenant }, bytes).payload,
  };
}
