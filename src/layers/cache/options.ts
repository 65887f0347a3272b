import type { CallControl } from "../../core/control.ts";
import { OptionError } from "../../core/errors.ts";
import type { KindName } from "../../core/facts.ts";
import { canonical } from "../../core/key.ts";
import type { Call, Kind } from "../../core/layer.ts";
import { resolveWith, type OptionReader } from "../../core/options.ts";
import type { KeySpace } from "../../core/request.ts";
import { warn } from "../../core/warn.ts";
import type { MemoryStoreOptions } from "../../stores/memory.ts";

/** A call as the cache's callbacks see it. */
export interface CacheQuestion {
  kind: KindName;
  mode: "invoke" | "stream";
  /** Name of the model, tool or retriever. */
  name?: string;
  /** Messages, prompts, texts, a query or arguments. */
  input: unknown;
  tenant?: string;
  tags?: readonly string[];
}

/** How calls of one kind are cached. */
export interface KindCache {
  /**
   * A stable name for what cannot show its own identity (a retriever, a tool, a custom model).
   * Without one an entry counts for that very object alone.
   */
  id?: string;
  /** How long an answer is fresh, milliseconds. @default the cache's `ttlMs` */
  ttlMs?: number;
  /** What an answer depends on, instead of the whole question. Model and parameters are always part of the key. */
  key?(input: unknown, config: object): unknown;
  /** Whether this call may be answered from the cache and kept in it. */
  when?(call: CacheQuestion): boolean;
}

export interface CacheOptions {
  /** The tier in this process. @default true */
  memory?: boolean | MemoryStoreOptions;
  /** How long an answer is fresh, milliseconds. @default 3_600_000 (an hour) */
  ttlMs?: number;
  /** Separates the entries of programs that share a cache. @default "default" */
  namespace?: string;
  /** Whose data a call is about; `undefined` = bypass the cache for this call. */
  tenant?(control: CallControl, config: object): string | undefined;
  /** Whether a call may be answered from the cache and kept in it. */
  when?(call: CacheQuestion): boolean;
  /** Per kind of call. Chat, llm and embeddings are cached unless `false`; retrievers and tools only when asked for. */
  kinds?: {
    chat?: boolean | KindCache;
    llm?: boolean | KindCache;
    embeddings?: boolean | KindCache;
    retriever?: false | KindCache;
    /** Names of the tools whose results may be kept, or how all of them are. */
    tool?: false | string[] | KindCache;
  };
}

type CachedKind = Exclude<KindName, "chain">;
type KindOptions = KindCache & { names?: ReadonlySet<string> };

export interface ResolvedCache {
  readonly memory: MemoryStoreOptions;
  readonly ttlMs: number;
  readonly namespace: string;
  readonly tenant?: CacheOptions["tenant"];
  readonly when?: CacheOptions["when"];
  readonly kinds: Partial<Record<KindName, KindOptions>>;
}

const HOUR_MS = 3_600_000;
const DEFAULT_KINDS: ResolvedCache["kinds"] = { chat: {}, llm: {}, embeddings: {} };

export function resolveCache(read: OptionReader): ResolvedCache {
  const tenant = read.function<NonNullable<CacheOptions["tenant"]>>("tenant");
  const when = read.function<NonNullable<CacheOptions["when"]>>("when");
  return {
    memory: resolveMemory(read),
    ttlMs: read.number("ttlMs", { default: HOUR_MS, min: 0 }),
    namespace: read.string("namespace", "default"),
    ...(tenant ? { tenant } : {}),
    ...(when ? { when } : {}),
    kinds: resolveKinds(read.raw("kinds"), read.pathOf("kinds")),
  };
}

function resolveMemory(read: OptionReader): MemoryStoreOptions {
  if (read.raw("memory") === false) throw new OptionError(read.pathOf("memory"), "true or an object of options, as long as memory is the only tier", false);
  return (
    read.layer("memory", (memory) => {
      const resolved = {
        maxBytes: memory.number("maxBytes", { default: undefined, min: 1, integer: true }),
        maxEntries: memory.number("maxEntries", { default: undefined, min: 1, integer: true }),
        maxEntryBytes: memory.number("maxEntryBytes", { default: undefined, min: 1, integer: true }),
      };
      return Object.fromEntries(Object.entries(resolved).filter(([, value]) => value !== undefined)) as MemoryStoreOptions;
    }) ?? {}
  );
}

function resolveKinds(raw: unknown, path: string): ResolvedCache["kinds"] {
  if (raw === undefined) return DEFAULT_KINDS;
  return resolveWith(path, raw, (read) => {
    const kinds: Partial<Record<CachedKind, KindOptions>> = {};
    for (const kind of ["chat", "llm", "embeddings"] as const) {
      const options = read.raw(kind) === undefined ? {} : read.layer(kind, resolveKind);
      if (options) kinds[kind] = options;
    }
    for (const kind of ["retriever", "tool"] as const) {
      const given = read.raw(kind);
      if (kind === "tool" && Array.isArray(given)) kinds.tool = { names: new Set(read.strings("tool")) };
      else if (given === true) throw new OptionError(read.pathOf(kind), "false or an object of options: what changes between calls is cached only when asked for", given);
      else if (given !== undefined && given !== false) kinds[kind] = read.layer(kind, resolveKind) as KindOptions;
    }
    return kinds;
  });
}

function resolveKind(read: OptionReader): KindOptions {
  const resolved = {
    id: read.string("id", undefined),
    ttlMs: read.number("ttlMs", { default: undefined, min: 0 }),
    key: read.function("key"),
    when: read.function("when"),
  };
  return Object.fromEntries(Object.entries(resolved).filter(([, value]) => value !== undefined)) as KindOptions;
}

/** How keys are made under these options; without a cache, for calls in flight alone. */
export function keySpace(options: ResolvedCache | undefined): KeySpace {
  const { namespace = "default", kinds = DEFAULT_KINDS, tenant: tenantOf } = options ?? {};
  const shared = `${namespace.length}:${namespace}`;
  return {
    spaceOf({ tenant }) {
      if (tenant !== undefined) return `${shared}t${tenant.length}:${tenant}`;
      // A configured tenant that yields nothing must never meet a shared entry.
      return tenantOf ? undefined : shared;
    },
    identityOf(kind, input) {
      // A kind that is not cached may still share what is under way, unless what it asks changes between calls.
      const own = optionsOf(kinds[kind.name] ? kinds : DEFAULT_KINDS, kind, input);
      return own && kind.identity(input, identityOptions(own, kind, input));
    },
  };
}

function identityOptions(own: KindOptions, kind: Kind, input: unknown): { id?: string; key?: string } {
  if (!own.key) return own.id === undefined ? NOTHING : { id: own.id };
  const { asked, config } = kind.question(input);
  return { key: canonical(own.key(asked, config)), ...(own.id === undefined ? {} : { id: own.id }) };
}

const NOTHING = Object.freeze({});

/** Whether calls like this one are cached at all under these options. */
export function coveredBy({ kinds }: ResolvedCache): (call: Call) => boolean {
  return ({ kind, input }) => optionsOf(kinds, kind, input) !== undefined;
}

/** How calls like this one are cached, if they are. */
function optionsOf(kinds: ResolvedCache["kinds"], kind: Kind, input: unknown): KindOptions | undefined {
  const own = kinds[kind.name];
  return own?.names && !own.names.has(kind.question(input).name ?? "") ? undefined : own;
}

/** Whether these options let a call use the cache. A condition that throws is a "no". */
export function wantedBy({ when, kinds }: ResolvedCache): (call: Call) => boolean {
  return (call) => {
    if (call.control.cache === "bypass" || !kinds[call.kind.name]) return false;
    const whenKind = kinds[call.kind.name]?.when;
    if (!when && !whenKind) return true;
    try {
      const question = questionOf(call);
      return (when?.(question) ?? true) && (whenKind?.(question) ?? true);
    } catch (error) {
      warn("cache.when failed, and the call goes past the cache", error);
      return false;
    }
  };
}

function questionOf({ kind, input, facts, control }: Call): CacheQuestion {
  const { asked, name } = kind.question(input);
  return {
    kind: kind.name,
    mode: facts.mode,
    input: asked,
    ...(name === undefined ? {} : { name }),
    ...(control.tenant === undefined ? {} : { tenant: control.tenant }),
    ...(control.tags === undefined ? {} : { tags: control.tags }),
  };
}
