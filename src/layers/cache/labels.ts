import type { Invalidation } from "../../stores/bus.ts";
import type { Sealer } from "./seal.ts";

/** What an entry can be invalidated by. */
export interface Labelled {
  readonly namespace: string;
  readonly tenant?: string | undefined;
  readonly tags?: readonly string[] | undefined;
}

/** Which entries to forget; those that meet every given condition. */
export interface InvalidateBy {
  /** Entries that carry any of these tags. */
  tags?: string[] | undefined;
  tenant?: string | undefined;
  namespace?: string | undefined;
  key?: string | undefined;
}

/** What an entry is called by outside this process. */
export function labelsOf({ namespace, tenant, tags }: Labelled, sealer: Sealer): string[] {
  const labels = [...sealer.label(`n:${namespace}`)];
  if (tenant !== undefined) labels.push(...sealer.label(`t:${tenant}`));
  for (const tag of tags ?? []) labels.push(...sealer.label(`g:${tag}`));
  return labels;
}

/** The same conditions, in the words of labels. */
export function invalidationOf({ tags, tenant, namespace, key }: InvalidateBy, sealer: Sealer): Invalidation {
  const groups: (readonly string[])[] = [];
  if (namespace !== undefined) groups.push(sealer.label(`n:${namespace}`));
  if (tenant !== undefined) groups.push(sealer.label(`t:${tenant}`));
  if (tags !== undefined) groups.push(tags.flatMap((tag) => [...sealer.label(`g:${tag}`)]));
  return { groups, ...(key === undefined ? {} : { key }) };
}
