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

/** Whether entries are among those that an invalidation means, for many at a time: no entry's labels are made where they are what they stand for. */
export function matcherOf(invalidation: Invalidation, sealer: Sealer): (entry: Labelled) => boolean {
  if ("all" in invalidation) return () => true;
  const isPlain = sealer.label("n:")[0] === "n:";
  const groups = invalidation.groups.map((group) => (isPlain ? plainGroup(group) : sealedGroup(new Set(group), sealer)));
  const [first, ...others] = groups;
  if (!first) return () => true;
  return others.length === 0 ? first : (entry) => groups.every((matches) => matches(entry));
}

function plainGroup(group: readonly string[]): (entry: Labelled) => boolean {
  const named = (kind: string): Set<string> => new Set(group.filter((label) => label.startsWith(kind)).map((label) => label.slice(kind.length)));
  const [namespaces, tenants, tags] = [named("n:"), named("t:"), named("g:")];
  return (entry) => namespaces.has(entry.namespace) || (entry.tenant !== undefined && tenants.has(entry.tenant)) || (entry.tags?.some((tag) => tags.has(tag)) ?? false);
}

function sealedGroup(group: ReadonlySet<string>, sealer: Sealer): (entry: Labelled) => boolean {
  return (entry) => labelsOf(entry, sealer).some((label) => group.has(label));
}
