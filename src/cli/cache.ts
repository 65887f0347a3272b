import { entryTable, entryText, jsonOf, listed, sharesOf, shareTable, type Listed } from "./cache-entries.ts";
import { openTarget, TARGET_FLAGS, TARGET_NOTES, type Target } from "./cache-target.ts";
import { warm } from "./cache-warm.ts";
import type { Command, Flag, Given } from "./command.ts";
import { Failure, UsageError } from "./errors.ts";
import { count, size, table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

const JSON_FLAG: Flag = ["--json", "Print JSON"];
const SAMPLE = 1_000;
const LISTED = 100;
const SIZES = "A size is what the tier keeps, or where it does not say so, as in Redis, what the entry would take in memory.";
const BOTH = "Give Redis and the persistent cache together when your program has both: each must forget. Running processes hear of it through Redis.";

const stats: Command = {
  usage: "cache stats",
  summary: "Show how many entries a cache holds, and of what kinds",
  flags: [...TARGET_FLAGS, JSON_FLAG],
  notes: [`Kinds are of the first ${count(SAMPLE)} entries. Hits and misses are counted by each running process alone: perf.cache.stats().`, SIZES, ...TARGET_NOTES],
  examples: ["langchain-perf cache stats --redis redis://localhost:6379", "langchain-perf cache stats --file perf.db --json"],
  run: showStats,
};

const keys: Command = {
  usage: "cache keys",
  summary: "List entries",
  flags: [...TARGET_FLAGS, ["--limit <n>", `At most so many; 0 = all (default: ${LISTED})`], ["--json", "Print one line of JSON for each entry"]],
  notes: [SIZES, ...TARGET_NOTES],
  examples: ["langchain-perf cache keys --file perf.db --limit 20"],
  run: showKeys,
};

const get: Command = {
  usage: "cache get <key>",
  summary: "Show one entry with its answer",
  flags: [...TARGET_FLAGS, JSON_FLAG],
  notes: TARGET_NOTES,
  examples: ["langchain-perf cache get kv1Ue… --redis redis://localhost:6379"],
  run: showEntry,
};

const invalidate: Command = {
  usage: "cache invalidate",
  summary: "Forget the entries that meet all conditions",
  flags: [
    ...TARGET_FLAGS,
    ["--tag <tag>", "Entries with this tag; repeated: with any of them"],
    ["--tenant <tenant>", "Entries of this tenant"],
    ["--namespace <name>", "Entries of this namespace"],
    ["--key <key>", "The entry under this key"],
    JSON_FLAG,
  ],
  notes: [BOTH, ...TARGET_NOTES],
  examples: ["langchain-perf cache invalidate --redis redis://localhost:6379 --tag docs/pricing.md", "langchain-perf cache invalidate --file perf.db --tenant acme"],
  run: forgetSome,
};

const clear: Command = {
  usage: "cache clear",
  summary: "Forget everything, of all namespaces and tenants",
  flags: [...TARGET_FLAGS, ["--yes", "Really"], JSON_FLAG],
  notes: [BOTH],
  examples: ["langchain-perf cache clear --redis redis://localhost:6379 --yes"],
  run: forgetAll,
};

/** What can be done to a cache from outside the processes that use it. */
export const cacheCommands: readonly Command[] = [stats, keys, get, invalidate, clear, warm];

async function showStats(given: Given, { stdout, ended }: Terminal): Promise<number> {
  await using target = await openTarget(given);
  const contents = await target.ask(() => target.cache.contents());
  const entries = await Array.fromAsync(listed(target, SAMPLE, ended));
  target.check();
  const shares = sharesOf(entries);
  if (given.has("json")) return stdout(`${jsonOf({ address: target.name, tiers: contents, sampled: entries.length, kinds: shares })}\n`), 0;
  const tiers = table(
    [{ head: "tier" }, { head: "store" }, { head: "entries", right: true }, { head: "size", right: true }],
    contents.map(({ tier, store, entries: held, sizeBytes }) => [tier, store, count(held), size(sizeBytes)]),
  );
  const sampled = entries.length === SAMPLE ? `\nof the first ${count(SAMPLE)} entries:` : "";
  stdout(`${target.name}\n\n${tiers}${sampled}${shares.length > 0 ? `\n${shareTable(shares)}` : ""}`);
  return 0;
}

async function showKeys(given: Given, { stdout, stderr, ended }: Terminal): Promise<number> {
  const limit = given.count("limit", 0) ?? LISTED;
  await using target = await openTarget(given);
  if (!target.lists) throw new Failure(`${target.name}: memcached cannot list its keys.`);
  const shown: Listed[] = [];
  // One more than is shown tells whether there are more.
  for await (const entry of listed(target, limit === 0 ? Infinity : limit + 1, ended)) {
    if (given.has("json") && shown.length < (limit || Infinity)) stdout(`${jsonOf(entry)}\n`);
    shown.push(entry);
  }
  target.check();
  const hasMore = limit > 0 && shown.length > limit;
  if (!given.has("json")) stdout(shown.length === 0 ? "No entries.\n" : entryTable(hasMore ? shown.slice(0, limit) : shown));
  if (hasMore) stderr(`There are more: --limit 0 shows all.\n`);
  if (target.unopened > 0) stderr(`${count(target.unopened)} of them did not open: ${unopenedBecause(target)}\n`);
  return 0;
}

async function showEntry(given: Given, { stdout }: Terminal): Promise<number> {
  await using target = await openTarget(given);
  const entry = await target.ask(() => target.cache.get(given.argument));
  if (!entry && target.unopened > 0) throw new Failure(`${given.argument}: the entry does not open: ${unopenedBecause(target)}`);
  if (!entry) throw new Failure(`${given.argument}: there is no such key in ${target.name}.`);
  stdout(given.has("json") ? `${jsonOf(entry)}\n` : entryText(entry));
  return 0;
}

async function forgetSome(given: Given, terminal: Terminal): Promise<number> {
  const [tags, tenant, namespace, key] = [given.texts("tag"), given.text("tenant"), given.text("namespace"), given.text("key")];
  const conditions = { ...(tags.length > 0 ? { tags } : {}), tenant, namespace, key };
  if (Object.values(conditions).every((condition) => condition === undefined)) throw new UsageError("Which entries? Give --tag, --tenant, --namespace or --key; for all of them there is `cache clear`.");
  await using target = await openTarget(given, { both: true });
  const forgotten = await target.ask(() => target.cache.invalidate(conditions));
  if (forgotten === 0 && key === undefined) await refuseUnknownLabels(target, terminal.ended);
  if (given.has("json")) return terminal.stdout(`${jsonOf({ invalidated: target.lists ? forgotten : null })}\n`), 0;
  const many = forgotten === 1 ? "1 entry" : `${count(forgotten)} entries`;
  terminal.stdout(target.lists ? `${many} forgotten.\n` : "Forgotten; memcached does not count.\n");
  return 0;
}

/** Encryption hides tags and tenants too: without the key nothing has the name that was asked for, and nothing would be forgotten. */
async function refuseUnknownLabels(target: Target, ended: AbortSignal): Promise<void> {
  await Array.fromAsync(listed(target, 1, ended));
  if (target.unopened > 0) throw new Failure(`${target.name}: nothing was forgotten, and entries do not open: ${unopenedBecause(target)}`);
}

async function forgetAll(given: Given, { stdout }: Terminal): Promise<number> {
  if (!given.has("yes")) throw new UsageError("This forgets everything: say --yes.");
  await using target = await openTarget(given, { both: true });
  await target.ask(() => target.cache.clear());
  stdout(given.has("json") ? `${jsonOf({ cleared: true })}\n` : `${target.name}: everything is forgotten.\n`);
  return 0;
}

function unopenedBecause({ hasEncryptionKey }: Target): string {
  return hasEncryptionKey ? "LANGCHAIN_PERF_ENCRYPTION_KEY is not their key." : "they are damaged, or encrypted and LANGCHAIN_PERF_ENCRYPTION_KEY is not set.";
}
