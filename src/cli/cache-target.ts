import { closeSync, openSync, readSync, statSync } from "node:fs";
import { createPerf, OptionError, type CacheOptions, type Perf, type PerfCache } from "langchain-perf";
import type { Flag, Given } from "./command.ts";
import { Failure, rootOf, UsageError } from "./errors.ts";

/** Which cache a command is about. */
export const TARGET_FLAGS: readonly Flag[] = [
  ["--redis <url>", "The cache in Redis, e.g. redis://localhost:6379"],
  ["--key-prefix <text>", "What its keys begin with (default: langchain-perf:)"],
  ["--persistent <address>", "The persistent cache: sqlite:<file>, postgres://… or memcached://…"],
  ["--file <path>", "Short for --persistent sqlite:<path>"],
];

export const TARGET_NOTES: readonly string[] = [
  "Encrypted entries: put the key into LANGCHAIN_PERF_ENCRYPTION_KEY, older ones into LANGCHAIN_PERF_PREVIOUS_KEYS, with commas between them.",
];

const KEY = "LANGCHAIN_PERF_ENCRYPTION_KEY";
const PREVIOUS_KEYS = "LANGCHAIN_PERF_PREVIOUS_KEYS";
/** A command has time, where a call has none; and more than a tier takes for opening, whose silence is not reported until then. Milliseconds. */
const READ_TIMEOUT_MS = 2_100;
/** Asked for to see whether somebody answers. */
const PROBE = "probe";

export interface TargetNeeds {
  /** Redis and a persistent tier may be given together: what changes must change in both. */
  readonly both?: boolean;
  /** A file that is not there is made. */
  readonly create?: boolean;
}

/** A cache that answers. */
export class Target implements AsyncDisposable {
  /** Without passwords. */
  readonly name: string;
  readonly perf: Perf;
  readonly hasEncryptionKey: boolean;
  /** Entries that were found and did not open. */
  unopened = 0;
  #failure: string | undefined;

  constructor(name: string, options: CacheOptions) {
    this.name = name;
    this.perf = createPerf({ cache: options, coalesce: true });
    this.hasEncryptionKey = options.encryptionKey !== undefined;
    this.perf.on("store-error", ({ operation, error }) => {
      if (operation === "decode") this.unopened += 1;
      else this.#failure ??= rootOf(error);
    });
  }

  get cache(): PerfCache {
    return this.perf.cache;
  }

  /** Whether it can count and list its entries. */
  get lists(): boolean {
    return !this.name.startsWith("memcached:");
  }

  /** Does some work, and fails where a tier did: a cache that cannot be asked is not an empty one. @throws Failure */
  async ask<T>(work: () => Promise<T>): Promise<T> {
    const result = await work().catch((error: unknown) => {
      if (OptionError.isInstance(error)) throw error;
      throw new Failure(`${this.name}: ${rootOf(error)}`);
    });
    this.check();
    return result;
  }

  /** @throws Failure when a tier has failed */
  check(): void {
    if (this.#failure !== undefined) throw new Failure(`${this.name}: ${this.#failure}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.perf.close();
  }
}

/** Opens the cache that the flags name and waits for its first answer. @throws UsageError, Failure */
export async function openTarget(given: Given, needs: TargetNeeds = {}, extra: CacheOptions = {}): Promise<Target> {
  const { names, options } = targetOptions(given, needs);
  let target: Target;
  try {
    target = new Target(names.join(" and "), { memory: false, warmStart: false, hotKeys: false, persistentTimeoutMs: READ_TIMEOUT_MS, ...options, ...encryption(), ...extra });
  } catch (error) {
    throw inFlags(error);
  }
  try {
    await target.ask(() => target.cache.get(PROBE));
    return target;
  } catch (error) {
    await target[Symbol.asyncDispose]();
    throw error;
  }
}

/** An error about an option as one about the flag or variable that it came from. */
export function inFlags(error: unknown): unknown {
  if (!OptionError.isInstance(error)) return error;
  const { option } = error as OptionError;
  const flag = Object.entries(FLAG_OF).find(([path]) => option.startsWith(path))?.[1];
  return flag === undefined ? error : new UsageError(error.message.replace(/^Option "[^"]*"/, flag));
}

const FLAG_OF: Readonly<Record<string, string>> = {
  "cache.redis.keyPrefix": "Option --key-prefix",
  "cache.redis": "Option --redis",
  "cache.persistent": "Option --persistent",
  sqlite: "Option --persistent",
  postgresStore: "Option --persistent",
  memcachedStore: "Option --persistent",
  "cache.encryptionKey.previous": PREVIOUS_KEYS,
  "cache.encryptionKey": KEY,
};

function targetOptions(given: Given, { both = false, create = false }: TargetNeeds): { names: string[]; options: CacheOptions } {
  const url = given.text("redis");
  const keyPrefix = given.text("key-prefix");
  const file = given.text("file");
  const persistent = given.text("persistent") ?? (file === undefined ? undefined : `sqlite:${file}`);
  if (given.has("file") && given.has("persistent")) throw new UsageError("Two persistent caches: give either --persistent or --file.");
  if (url === undefined && persistent === undefined) throw new UsageError("Which cache? Give --redis, --persistent or --file.");
  if (url !== undefined && persistent !== undefined && !both) throw new UsageError("Two caches: this command looks into one, give either --redis or --persistent or --file.");
  if (keyPrefix !== undefined && url === undefined) throw new UsageError("Option --key-prefix: belongs to --redis.");
  if (persistent !== undefined) checkAddress(persistent, create);
  return {
    names: [url, persistent].filter((address) => address !== undefined).map(withoutPassword),
    options: {
      ...(url === undefined ? {} : { redis: { url, timeoutMs: READ_TIMEOUT_MS, ...(keyPrefix === undefined ? {} : { keyPrefix }) } }),
      ...(persistent === undefined ? {} : { persistent }),
    },
  };
}

function encryption(): Pick<CacheOptions, "encryptionKey"> {
  const current = process.env[KEY];
  const previous = (process.env[PREVIOUS_KEYS] ?? "").split(",").filter((key) => key !== "");
  if (current) return { encryptionKey: { current, previous } };
  if (previous.length > 0) throw new UsageError(`${PREVIOUS_KEYS} is set and ${KEY} is not.`);
  return {};
}

/** @throws UsageError, Failure */
function checkAddress(address: string, create: boolean): void {
  // The address may hold a password.
  if (!/^(?:sqlite:.|postgres(?:ql)?:\/\/|memcached:\/\/)/.test(address)) {
    throw new UsageError(`Option --persistent: wanted sqlite:<file>, postgres://… or memcached://…, got "${address.split(":", 1)[0]}:…".`);
  }
  if (address.startsWith("sqlite:")) checkFile(address.slice("sqlite:".length), create);
}

/** "SQLite format 3" and a zero begin every file of SQLite, https://sqlite.org/fileformat.html. */
const SQLITE_HEADER = "SQLite format 3\0";

/** The store would begin a file that is not there, and move a broken one out of the way: neither is for somebody who only looks. */
function checkFile(path: string, create: boolean): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found && create) return;
  if (!found) throw new Failure(`${path}: there is no such file.`);
  if (!found.isFile()) throw new Failure(`${path}: it is not a file.`);
  if (headOf(path) !== SQLITE_HEADER) throw new Failure(`${path}: it is not a SQLite file.`);
}

function headOf(path: string): string {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(SQLITE_HEADER.length);
    return head.toString("latin1", 0, readSync(file, head));
  } finally {
    closeSync(file);
  }
}

function withoutPassword(address: string): string {
  return address.replace(/^([a-z]+:\/\/)[^/@]*@/, "$1…@");
}
