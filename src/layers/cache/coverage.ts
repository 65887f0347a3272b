import { atOnce, warnOnce } from "../../core/callback.ts";
import type { CallControl } from "../../core/control.ts";
import { OptionError } from "../../core/errors.ts";
import { canonical } from "../../core/key.ts";
import type { Answer, Call, Kind, OwnIdentity } from "../../core/layer.ts";
import type { KeySpace } from "../../core/request.ts";
import { DEFAULT_KINDS, type CacheOptions, type CacheQuestion, type KindOptions, type ResolvedCache } from "./options.ts";

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
      const said = own && identityOptions(own, kind, input);
      return said && kind.identity(input, said);
    },
  };
}

/** `undefined` = the user's key says nothing, and nothing is shared. */
function identityOptions({ id, key: keyOf }: KindOptions, kind: Kind, input: unknown): OwnIdentity | undefined {
  if (!keyOf) return id === undefined ? NOTHING : { id };
  const { asked, config } = kind.question(input);
  const key = atOnce(keyOf(asked, config));
  return key === undefined ? undefined : { key: canonical(key), ...(id === undefined ? {} : { id }) };
}

const NOTHING = Object.freeze({});

/** Whose data a call is about, by the user's function. One that fails, or gives anything but a text, yields no tenant, and so no shared entry. */
export function tenantBy(options: ResolvedCache | undefined): ((control: CallControl, config: object) => string | undefined) | undefined {
  const tenantOf = options?.tenant;
  if (!tenantOf) return undefined;
  const warn = warnOnce();
  return (control, config) => {
    try {
      const given: unknown = tenantOf(control, config);
      const tenant = atOnce(given);
      if (typeof tenant === "string" && tenant !== "") return tenant;
      if (given !== undefined) throw new OptionError("cache.tenant", "a function that gives a string that is not empty, or undefined", given);
    } catch (error) {
      warn("cache.tenant failed, and the call goes past the cache (said once)", error);
    }
    return undefined;
  };
}

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
  const warn = warnOnce();
  const holds = (condition: CacheOptions["when"], question: CacheQuestion): boolean => {
    const given: unknown = condition ? condition(question) : true;
    if (typeof atOnce(given) !== "boolean") throw new OptionError("cache.when", "a function that gives true or false", given);
    return given === true;
  };
  return (call) => {
    if (call.control.cache === "bypass" || !kinds[call.kind.name]) return false;
    const whenKind = kinds[call.kind.name]?.when;
    if (!when && !whenKind) return true;
    try {
      const question = questionOf(call);
      return holds(when, question) && holds(whenKind, question);
    } catch (error) {
      warn("cache.when failed, and the call goes past the cache (said once)", error);
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
