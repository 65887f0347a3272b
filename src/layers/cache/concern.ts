import type { Call } from "../../core/layer.ts";
import type { Invalidation } from "../../stores/bus.ts";
import { labelsOf } from "./labels.ts";
import type { ResolvedCache } from "./options.ts";
import type { Sealer } from "./seal.ts";

/** As much of a call as says what its answer, which is not known yet, can be invalidated by. */
export type Asked = Pick<Call, "key" | "control" | "tagsOf">;

/**
 * Tells for an invalidation which calls under way it may concern: by key, namespace, tenant and tags. Of an answer that gives tags itself, and of one that may come
 * from another process (`hasUnknownTags`), the tags are not known yet.
 */
export type CallConcern = (invalidation: Invalidation) => (asked: Asked, hasUnknownTags?: boolean) => boolean;

export function callConcern({ namespace, tags }: Pick<ResolvedCache, "namespace" | "tags">, sealer: Sealer): CallConcern {
  const known = new WeakMap<Asked, readonly string[]>();
  const labelsFor = (asked: Asked): readonly string[] => {
    const labels = known.get(asked) ?? labelsOf({ namespace, tenant: asked.control.tenant, tags: asked.control.tags }, sealer);
    known.set(asked, labels);
    return labels;
  };
  return (invalidation) => (asked, hasUnknownTags = false) => {
    if ("all" in invalidation) return true;
    if (invalidation.key !== undefined && invalidation.key !== asked.key) return false;
    const getsTags = hasUnknownTags || tags !== undefined || asked.tagsOf !== undefined;
    return invalidation.groups.every((group) => group.some((label) => labelsFor(asked).includes(label) || (getsTags && mayBeTag(label))));
  };
}

/** A pseudonym may be one of anything. */
function mayBeTag(label: string): boolean {
  return !label.startsWith("n:") && !label.startsWith("t:");
}
