import { inspect } from "node:util";
import type { EntryDescription } from "langchain-perf";
import type { Target } from "./cache-target.ts";
import { Failure, rootOf } from "./errors.ts";
import { count, NOTHING, printable, size, span, table } from "./table.ts";

/** A key and what could be learnt of its entry: nothing but its size when that does not open. */
export type Listed = Pick<EntryDescription, "key" | "tier"> & Partial<Omit<EntryDescription, "answer">>;

const PAGE = 32;

/** Lists entries, at most `limit`. @throws Failure when the cache cannot be asked */
export async function* listed({ cache, name }: Target, limit: number, ended: AbortSignal): AsyncGenerator<Listed> {
  const keys = cache.keys();
  for (let left = limit; left > 0 && !ended.aborted; left -= PAGE) {
    const page = await take(keys, Math.min(PAGE, left), name);
    yield* await Promise.all(page.map(async (stored) => ({ ...(await described(cache, stored.key)), ...stored })));
    if (page.length < Math.min(PAGE, left)) return;
  }
}

async function described(cache: Target["cache"], key: string): Promise<Omit<EntryDescription, "answer"> | undefined> {
  const entry = await cache.get(key);
  if (!entry) return undefined;
  const { answer: _answer, ...rest } = entry;
  return rest;
}

async function take<T>(from: AsyncGenerator<T>, most: number, name: string): Promise<T[]> {
  const taken: T[] = [];
  try {
    while (taken.length < most) {
      const { done, value } = await from.next();
      if (done) break;
      taken.push(value);
    }
    return taken;
  } catch (error) {
    throw new Failure(`${name}: ${rootOf(error)}`);
  }
}

/** Entries as a table. */
export function entryTable(entries: readonly Listed[], now = Date.now()): string {
  return table(
    [{ head: "key" }, { head: "kind" }, { head: "model" }, { head: "tenant" }, { head: "tags" }, { head: "size", right: true }, { head: "age", right: true }, { head: "expires in", right: true }],
    entries.map(({ key, kind, model, tenant, tags, sizeBytes, storedAt, expiresAt }) => [
      printable(key), kind ?? "does not open", printable(model ?? NOTHING), printable(tenant ?? NOTHING), printable(tags?.join(", ") || NOTHING), size(sizeBytes),
      storedAt ? span(now - storedAt.getTime()) : NOTHING,
      expiresAt ? span(expiresAt.getTime() - now) : NOTHING,
    ]),
  );
}

/** How many entries there are of each kind and model. */
export interface Share {
  kind: string;
  model?: string;
  entries: number;
  sizeBytes: number;
  oldest?: Date;
  newest?: Date;
}

/** Entries by kind and model, the most frequent first. */
export function sharesOf(entries: readonly Listed[]): Share[] {
  const groups = Map.groupBy(entries, ({ kind = "does not open", model = "" }) => `${kind} ${model}`);
  const shares = [...groups.values()].map((group): Share => {
    const [{ kind = "does not open", model }] = group as [Listed];
    const times = group.flatMap(({ storedAt }) => storedAt ?? []).sort((left, right) => left.getTime() - right.getTime());
    const [oldest, newest] = [times[0], times.at(-1)];
    return {
      kind,
      ...(model === undefined ? {} : { model }),
      entries: group.length,
      sizeBytes: group.reduce((total, { sizeBytes = 0 }) => total + sizeBytes, 0),
      ...(oldest && newest ? { oldest, newest } : {}),
    };
  });
  return shares.sort((left, right) => right.entries - left.entries);
}

/** Shares as a table. */
export function shareTable(shares: readonly Share[], now = Date.now()): string {
  const age = (at: Date | undefined): string => (at ? span(now - at.getTime()) : NOTHING);
  return table(
    [{ head: "kind" }, { head: "model" }, { head: "entries", right: true }, { head: "size", right: true }, { head: "newest", right: true }, { head: "oldest", right: true }],
    shares.map(({ kind, model, entries, sizeBytes, oldest, newest }) => [kind, printable(model ?? NOTHING), count(entries), size(sizeBytes), age(newest), age(oldest)]),
  );
}

/** One entry, its answer last. */
export function entryText({ key, tier, kind, model, namespace, tenant, tags, storedAt, freshUntil, expiresAt, sizeBytes, answer }: EntryDescription, now = Date.now()): string {
  const left = (until: Date): string => (until.getTime() > now ? `for ${span(until.getTime() - now)} more`.replace("for for ever more", "for ever") : `ended ${span(now - until.getTime())} ago`);
  const rows = [
    ["key", key],
    ["tier", tier],
    ["kind", model === undefined ? kind : `${kind}, ${model}`],
    ["namespace", namespace],
    ["tenant", tenant ?? NOTHING],
    ["tags", tags?.join(", ") || NOTHING],
    ["stored", `${span(now - storedAt.getTime())} ago, ${storedAt.toISOString()}`],
    ["fresh", left(freshUntil)],
    ["kept", left(expiresAt)],
    ["size", `${size(sizeBytes)} in memory`],
  ];
  return `${rows.map(([name = "", value = ""]) => `${name.padEnd(11)}${printable(value)}\n`).join("")}\n${printable(answerText(answer))}\n`;
}

/** Texts as they are, of a message its text; the rest as Node shows it. */
function answerText(answer: unknown): string {
  if (typeof answer === "string") return answer;
  const shown = plain(answer);
  const { text, tool_calls: calls } = (answer ?? {}) as { text?: unknown; tool_calls?: unknown[] };
  if (shown !== answer && typeof text === "string" && text !== "" && !calls?.length) return text;
  return inspect(shown, { depth: 8, maxArrayLength: 20, maxStringLength: 4_000, breakLength: 120 });
}

/** An answer for JSON: a message as its fields, a vector as its numbers, what JSON does not know as text. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, name, shown: unknown) {
    const given = this[name];
    if (given instanceof Date) return Number.isNaN(given.getTime()) ? null : given.toISOString();
    if (typeof given === "bigint") return String(given);
    if (given instanceof Map || given instanceof Set) return [...given];
    if (given instanceof Uint8Array) return Buffer.from(given).toString("base64");
    if (ArrayBuffer.isView(given)) return Array.from(given as Float32Array);
    const dict = plain(given);
    return dict === given ? shown : dict;
  });
}

/** A message of LangChain as its own fields: without the wrapper of its serialisation. */
function plain(value: unknown): unknown {
  const { toDict } = (value ?? {}) as { toDict?: unknown };
  return typeof toDict === "function" ? (toDict.call(value) as unknown) : value;
}
