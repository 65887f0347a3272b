import { OptionError, StoreError } from "../../core/errors.ts";
import { isRecord, resolveWith } from "../../core/options.ts";
import { loadPeer } from "../../core/peer.ts";
import { isRefusal, OUR_CONNECTION, OUR_TIMEOUTS, type RedisArgument, type RedisLike } from "./client.ts";
import { Link, type LinkEvents } from "./link.ts";
import type { RedisScript } from "./script.ts";

export interface RedisOptions {
  /** E.g. `redis://localhost:6379` or `rediss://user:secret@host:6380/2`. */
  url?: string;
  /** A client of ioredis 5 or 6, used as it is and never closed: `Redis`, with or without Sentinel, or `Cluster`. */
  client?: RedisLike;
  /** What every key and channel begins with. @default "langchain-perf:" */
  keyPrefix?: string;
}

/** Where Redis is: a URL, an ioredis client, or one of these with further options. */
export type RedisSource = string | RedisLike | RedisOptions;

const SOURCES = "a URL redis://…, an ioredis client, or { url | client, keyPrefix }";
const DEFAULT_PREFIX = "langchain-perf:";
const OLDEST_MAJOR = 6;
const SCAN_COUNT = 1000;

/** The way to one Redis, which stores, buses and leases share. Nothing is opened before the first command. */
export class RedisConnection {
  /** What every key begins with, apart from the client's own `keyPrefix`. */
  readonly prefix: string;
  readonly #theirs: RedisLike | undefined;
  readonly #ours: Link | undefined;
  #isAdmitted = false;
  #admission: Promise<void> | undefined;
  #refusal: StoreError | undefined;

  /** @param path of the option, for errors. @throws OptionError */
  constructor(source: RedisSource, path = "redis") {
    const { url, client, keyPrefix } = resolveSource(source, path);
    this.prefix = keyPrefix;
    this.#theirs = client;
    if (url !== undefined) this.#ours = new Link(() => clientFor(url));
  }

  /** Whether keys live on several nodes, so that a command or a script may name keys of one slot only. */
  get isCluster(): boolean {
    return this.#theirs?.isCluster ?? false;
  }

  /** The full name of a channel: unlike keys, channels do not get the client's own `keyPrefix` from ioredis. */
  channel(name: string): string {
    return this.#clientPrefix + this.prefix + name;
  }

  call(command: string, ...args: RedisArgument[]): Promise<unknown> {
    const client = this.#usable;
    return client ? client.call(command, ...args) : this.#prepare().then((prepared) => prepared.call(command, ...args));
  }

  /** Like `call`, with bytes in place of strings in the reply. */
  callBuffer(command: string, ...args: RedisArgument[]): Promise<unknown> {
    const client = this.#usable;
    return client ? client.callBuffer(command, ...args) : this.#prepare().then((prepared) => prepared.callBuffer(command, ...args));
  }

  /** Runs a script on the master that holds the keys. */
  script(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#run((...command) => this.call(...command), script, [keys.length, ...keys, ...args]);
  }

  /** Like `script`, with bytes in place of strings in the reply. */
  scriptBuffer(script: RedisScript, keys: readonly string[], args: readonly RedisArgument[]): Promise<unknown> {
    return this.#run((...command) => this.callBuffer(...command), script, [keys.length, ...keys, ...args]);
  }

  /** One reply for each master. */
  async callMasters(command: string, ...args: RedisArgument[]): Promise<unknown[]> {
    const client = await this.#prepare();
    return Promise.all(mastersOf(client).map((master) => master.call(command, ...args)));
  }

  /** What follows `begin` in the names of all keys that begin with it, page by page; a name may come twice. */
  async *scan(begin: string): AsyncGenerator<string[]> {
    const client = await this.#prepare();
    const whole = this.#clientPrefix + this.prefix + begin;
    const pattern = `${whole.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}*`;
    for (const master of mastersOf(client)) {
      let cursor = "0";
      do {
        const reply = await master.call("scan", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT);
        const [next, names] = reply as [string, string[]];
        cursor = next;
        if (names.length > 0) yield [...new Set(names)].map((name) => name.slice(whole.length));
      } while (cursor !== "0");
    }
  }

  /** A connection of its own for pub/sub, to the same server or to one node of the same cluster. The caller opens and closes it. */
  subscriber(events: LinkEvents): Link {
    return new Link(async () => {
      const masters = mastersOf(await this.#prepare());
      const master = masters[Math.floor(Math.random() * masters.length)];
      if (!master) throw new Error("The cluster has no node");
      return master.duplicate(OUR_CONNECTION);
    }, events);
  }

  /** Closes what it has opened; a client that was given stays as it is. */
  close(): void {
    this.#ours?.close();
  }

  async #run(call: RedisConnection["call"], { digest, text }: RedisScript, args: readonly RedisArgument[]): Promise<unknown> {
    try {
      return await call("evalsha", digest, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return call("eval", text, ...args);
    }
  }

  get #clientPrefix(): string {
    return this.#theirs?.options.keyPrefix ?? "";
  }

  get #usable(): RedisLike | undefined {
    return this.#isAdmitted ? (this.#theirs ?? this.#ours?.client) : undefined;
  }

  async #prepare(): Promise<RedisLike> {
    if (this.#refusal) throw this.#refusal;
    const client = this.#theirs ?? (await this.#ours?.open());
    if (!client) throw new Error("Redis is not connected");
    if (!this.#isAdmitted) await (this.#admission ??= this.#admit(client).finally(() => (this.#admission = undefined)));
    return client;
  }

  /** Asks for the server's version, once. A user who may not ask is believed. */
  async #admit(client: RedisLike): Promise<void> {
    const info = await client.call("info", "server").catch((error: unknown) => {
      if (isRefusal(error)) return "";
      throw error;
    });
    const version = /^redis_version:(\S+)/m.exec(String(info))?.[1];
    if (version !== undefined && Number.parseInt(version, 10) < OLDEST_MAJOR) {
      const reason = `Redis ${version} is not used: version ${OLDEST_MAJOR} or later is needed`;
      this.#refusal = new StoreError("redis", "connect", new Error(reason));
      process.emitWarning(`langchain-perf: ${reason}.`);
      this.#ours?.close();
      throw this.#refusal;
    }
    this.#isAdmitted = true;
  }
}

interface Resolved {
  readonly url: string | undefined;
  readonly client: RedisLike | undefined;
  readonly keyPrefix: string;
}

function resolveSource(source: RedisSource, path: string): Resolved {
  if (typeof source === "string") return { url: checkedUrl(source, path), client: undefined, keyPrefix: DEFAULT_PREFIX };
  if (isClient(source)) return { url: undefined, client: source, keyPrefix: DEFAULT_PREFIX };
  if (!isRecord(source)) throw new OptionError(path, SOURCES, source);
  return resolveWith(path, source, (reader) => {
    const url = reader.string("url", undefined);
    const client = reader.objectWith<RedisLike>("client", ["call", "callBuffer", "duplicate", "on"]);
    const keyPrefix = reader.string("keyPrefix", DEFAULT_PREFIX);
    if ((url === undefined) === (client === undefined)) throw new OptionError(path, SOURCES, source);
    return { url: url === undefined ? undefined : checkedUrl(url, reader.pathOf("url")), client, keyPrefix };
  });
}

function isClient(source: RedisLike | RedisOptions): source is RedisLike {
  return typeof (source as Partial<RedisLike> | null)?.callBuffer === "function";
}

function checkedUrl(url: string, path: string): string {
  // The URL may hold a password: errors show its scheme alone.
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) throw new OptionError(path, "a URL redis://... or rediss://...", url.split(":", 1)[0]);
  return url;
}

async function clientFor(url: string): Promise<RedisLike> {
  const { Redis } = await loadPeer("ioredis", () => import("ioredis"));
  return new Redis(url, { ...OUR_CONNECTION, ...OUR_TIMEOUTS });
}

function mastersOf(client: RedisLike): RedisLike[] {
  return client.isCluster && client.nodes ? client.nodes("master") : [client];
}
