import { MalformedError, UnencodableError } from "../../core/wire/errors.ts";

/** What an entry says of itself. Times are milliseconds since the epoch, `Infinity` = never. */
export interface EntryMeta {
  readonly kind: string;
  readonly storedAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
  readonly usableUntil: number;
  readonly namespace: string;
  readonly tenant?: string;
  readonly tags?: readonly string[];
  /** How far the process that stored it had heard of invalidations then. */
  readonly position?: { readonly epoch: string; readonly seq: number };
  /** The call whose upstream answer this is. */
  readonly writer?: string;
  readonly model?: string;
}

/** As a list: the names of the fields would take more room than many an answer. JSON writes `Infinity` and what is absent as `null`. */
export function encodeMeta({ kind, storedAt, freshUntil, staleUntil, usableUntil, namespace, tenant, tags, position, writer, model }: EntryMeta): string {
  // JSON would make it `Infinity`, and an entry without end.
  if (![storedAt, freshUntil, staleUntil, usableUntil].every((time) => time > -Infinity)) throw new UnencodableError("A time that is no number");
  return JSON.stringify([kind, storedAt, freshUntil, staleUntil, usableUntil, namespace, tenant, tags, position?.epoch, position?.seq, writer, model]);
}

export function decodeMeta(text: string): EntryMeta {
  const list = JSON.parse(text) as unknown;
  if (!Array.isArray(list) || list.length !== 12) throw new MalformedError("no list of an entry's fields");
  const [kind, storedAt, freshUntil, staleUntil, usableUntil, namespace, tenant, tags, epoch, seq, writer, model] = list as unknown[];
  return {
    kind: textIn(kind),
    storedAt: timeIn(storedAt),
    freshUntil: timeIn(freshUntil),
    staleUntil: timeIn(staleUntil),
    usableUntil: timeIn(usableUntil),
    namespace: textIn(namespace),
    ...(tenant === null ? {} : { tenant: textIn(tenant) }),
    ...(tags === null ? {} : { tags: textsIn(tags) }),
    ...(epoch === null ? {} : { position: { epoch: textIn(epoch), seq: numberIn(seq) } }),
    ...(writer === null ? {} : { writer: textIn(writer) }),
    ...(model === null ? {} : { model: textIn(model) }),
  };
}

function textIn(value: unknown): string {
  if (typeof value !== "string") throw new MalformedError("an entry's field that is no text");
  return value;
}

function textsIn(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new MalformedError("an entry's tags that are no list");
  return value.map(textIn);
}

function numberIn(value: unknown): number {
  if (typeof value !== "number") throw new MalformedError("an entry's field that is no number");
  return value;
}

function timeIn(value: unknown): number {
  return value === null ? Infinity : numberIn(value);
}
