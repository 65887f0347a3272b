import { OptionError } from "../../core/errors.ts";
import { canonical } from "../../core/key.ts";
import type { Answer, Call, Kind } from "../../core/layer.ts";
import type { KeySpace } from "../../core/request.ts";
import { warn } from "../../core/warn.ts";
import { DEFAULT_KINDS, type CacheQuestion, type KindOptions, type ResolvedCache } from "./options.ts";

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

/** The tags that an answer gets by the user's functions. One that throws keeps the answer from being kept: nobody could invalidate it. */
export function tagsBy({ tags }: ResolvedCache): (call: Call, answer: Answer) => readonly string[] | undefined {
  return (call, answer) => {
    const own = call.tagsOf;
    if (!tags && !own) return undefined;
    const whole = call.kind.whole(answer);
    return [...listed("cache.tags", tags?.(questionOf(call), whole)), ...listed("cached.tags", own?.(whole))];
  };
}

function listed(option: string, tags: unknown = []): readonly string[] {
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === "string")) return tags;
  throw new OptionError(option, "a function that gives an array of strings", tags);
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
