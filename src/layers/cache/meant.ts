import type { Invalidation } from "../../stores/bus.ts";
import type { IsMeant } from "./backlog.ts";
import { concerns } from "./invalidations.ts";
import { labelsOf } from "./labels.ts";
import type { EntryMeta, Sealer } from "./seal.ts";
import type { SentWrite } from "./sent.ts";

/** Stores look for a key or for labels, not for both. What is under the key and cannot be read is of no use, and may be what is meant. */
export function meantBy(invalidation: Invalidation, sealer: Sealer): IsMeant | undefined {
  if ("all" in invalidation || invalidation.key === undefined || invalidation.groups.length === 0) return undefined;
  return (key, value) => {
    const meta = metaIn(sealer, key, value);
    return !meta || concerns(invalidation, key, labelsOf(meta, sealer));
  };
}

/** What this process wrote, and nothing that took its place. */
export function written({ writer, storedAt }: SentWrite, sealer: Sealer): IsMeant {
  return (key, value) => {
    const meta = metaIn(sealer, key, value);
    return meta?.writer === writer && meta.storedAt === storedAt;
  };
}

function metaIn(sealer: Sealer, key: string, value: Uint8Array): EntryMeta | undefined {
  try {
    return sealer.open(key, undefined, value).meta;
  } catch {
    return undefined;
  }
}
