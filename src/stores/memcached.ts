import { randomUUID } from "node:crypto";
import { OptionError } from "../core/errors.ts";
import { resolveWith } from "../core/options.ts";
import { GenerationStore, type Items } from "./generations.ts";
import { MemcachedConnection, type Address } from "./memcached-connection.ts";
import type { Store } from "./store.ts";

export interface MemcachedStoreOptions {
  /**
   * `host:port`, or `user:password@host:port` for SASL, with or without `memcached://`; several in an array or with commas. The items
   * are spread over them by name, so every process must name the same ones in the same order.
   */
  servers: string | readonly string[];
  /** How long one command may take, connecting included, milliseconds. @default 500 */
  timeoutMs?: number;
  /** Begins the name of every item: visible ASCII, 100 characters at most. @default "langchain-perf:" */
  keyPrefix?: string;
}

/** Below the 1 MiB that memcached takes unless told otherwise, item header included, bytes. */
const PART_BYTES = 1_000_000;
/** Begins an item that names the parts of a value. */
const PARTS = Buffer.from("LPparts1 ");
/** A longer time to live is a date to memcached, seconds. */
const LONGEST_TTL = 30 * 24 * 3_600;
const LAST_DATE = 0xffffffff;

/**
 * A store in memcached, through the optional package `memjs`. Invalidation is by generations, see {@link GenerationStore}: keys cannot be
 * listed, and what was invalidated is not counted. Values over 1 MB are kept in parts, and are missing as soon as one part is. A command
 * that fails is not repeated, so that an outage is known at once. Connections are opened when they are first needed, and do not keep
 * the process alive.
 *
 * @param options or just the `servers`
 * @throws OptionError
 */
export function memcachedStore(options: string | MemcachedStoreOptions): Store {
  const given = typeof options === "string" ? { servers: options } : options;
  const { addresses, timeoutMs, keyPrefix } = resolveWith("memcachedStore", given, (read) => ({
    addresses: addressesOf(read.raw("servers"), read.pathOf("servers")),
    timeoutMs: read.number("timeoutMs", { default: 500, min: 1, max: 600_000 }),
    keyPrefix: read.string("keyPrefix", "langchain-perf:"),
  }));
  if (!/^[\x21-\x7e]{1,100}$/.test(keyPrefix)) throw new OptionError("memcachedStore.keyPrefix", "1 to 100 visible characters of ASCII", keyPrefix);
  return new GenerationStore(itemsOf(new MemcachedConnection(addresses, timeoutMs), keyPrefix));
}

function itemsOf(connection: MemcachedConnection, prefix: string): Items {
  const readOne = (name: string): Promise<Buffer | null> => connection.run(async (client) => (await client.get(name)).value);
  const writeOne = (name: string, bytes: Uint8Array, expires: number): Promise<boolean> => connection.run((client) => client.set(name, bufferOf(bytes), { expires }));
  const partName = (id: string, part: number): string => `${prefix}p.${id}.${part}`;
  return {
    name: "memcached",
    shared: true,
    prefix,
    read: (names) => Promise.all(names.map(async (name) => {
      const item = await readOne(name);
      if (!item?.subarray(0, PARTS.length).equals(PARTS)) return item ?? undefined;
      const [id = "", count] = item.toString("latin1", PARTS.length).split(" ");
      const parts = await Promise.all(Array.from({ length: Number(count) }, (_, part) => readOne(partName(id, part))));
      return parts.includes(null) ? undefined : Buffer.concat(parts as Buffer[]);
    })),
    async write(name, bytes, expiresAt) {
      const expires = expirationOf(expiresAt);
      if (bytes.length <= PART_BYTES) return void (await writeOne(name, bytes, expires));
      // A name of their own for the parts of each value: a reader never sees those of two.
      const id = randomUUID();
      const count = Math.ceil(bytes.length / PART_BYTES);
      await Promise.all(Array.from({ length: count }, (_, part) => writeOne(partName(id, part), bytes.subarray(part * PART_BYTES, (part + 1) * PART_BYTES), expires)));
      await writeOne(name, Buffer.concat([PARTS, Buffer.from(`${id} ${count}`)]), expires);
    },
    remove: (name) => connection.run((client) => client.delete(name)),
    add: (name, bytes) => connection.run((client) => client.add(name, bufferOf(bytes), { expires: 0 })),
    append: (name, bytes) => connection.run((client) => client.append(name, bufferOf(bytes))),
    close: async () => connection.close(),
  };
}

/** As memcached wants it: seconds from now, or a date, or 0 for never. Never too early: the entry itself knows the millisecond. */
function expirationOf(expiresAt: number): number {
  const seconds = Math.ceil((expiresAt - Date.now()) / 1_000) + 1;
  if (seconds <= LONGEST_TTL) return Math.max(1, seconds);
  const date = Math.ceil(expiresAt / 1_000) + 1;
  return date <= LAST_DATE ? date : 0;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function addressesOf(servers: unknown, path: string): Address[] {
  const list: unknown[] = typeof servers === "string" ? servers.split(",") : Array.isArray(servers) ? servers : [];
  if (list.length === 0) throw new OptionError(path, 'one or more servers, e.g. "localhost:11211"', servers);
  return list.map((server) => {
    const text = typeof server === "string" ? server.trim() : "";
    const url = URL.parse(text.includes("://") ? text : `memcached://${text}`);
    const isAddress = text !== "" && url?.protocol === "memcached:" && url.hostname !== "" && /^\/?$/.test(url.pathname);
    // The value itself is not shown: it may hold a password.
    if (!isAddress) throw new OptionError(path, "host:port or user:password@host:port", text.replace(/^.*@/, "...@"));
    const decoded = (part: string): string | undefined => (part === "" ? undefined : decodeURIComponent(part));
    return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 11_211), username: decoded(url.username), password: decoded(url.password) };
  });
}
