import { LONGEST_TIMEOUT_MS } from "../core/clock.ts";
import { OptionError } from "../core/errors.ts";
import { OptionReader, resolveWith } from "../core/options.ts";
import { loadPeer } from "../core/peer.ts";
import { Pools, type PoolOptions, type Undici } from "./pools.ts";

export interface PooledFetchOptions {
  /** Connections to one server, at most; further requests wait for one. `Infinity` sets no limit. @default 64 */
  connections?: number;
  /**
   * How long an idle connection is kept for the next request, milliseconds. A server that says for how long it keeps them (`Keep-Alive: timeout=`) is taken at its
   * word, less a second. @default 30000
   */
  keepAliveMs?: number;
  /**
   * Milliseconds of silence after which the system asks the other end whether it is still there, so that a connection that died without a word (a NAT or a load
   * balancer forgot it) is found and closed; at least 1000, 0 asks never. @default 30000
   */
  tcpKeepAliveMs?: number;
  /**
   * Whether servers that speak HTTP/2 over TLS are spoken to in it: up to 100 requests then share a connection. A burst at a server not asked before still opens one
   * connection a request, up to `connections`, and a lost packet holds up all answers that share one. Needs undici 7 or newer. @default false
   */
  http2?: boolean;
}

export interface PooledFetchStats {
  /** Connections open now. */
  connections: number;
  /** Connections opened so far. */
  opened: number;
  /** Connections closed so far, by either end. */
  closed: number;
  /** Of those closed, the ones that the server closed or that broke: when there are many, `keepAliveMs` is longer than the server waits. */
  lost: number;
  /** Calls made so far. */
  requests: number;
  /** Requests sent so far over a connection that had carried another one before; a redirect is a request of its own. */
  reused: number;
  /** Calls that got no answer, not even an HTTP error; those that their own signal aborted are not counted. */
  failed: number;
  /** Requests sent whose answers have not ended. */
  running: number;
  /** Requests that wait for a connection. */
  pending: number;
}

/** A `fetch` with connections of its own. */
export interface PooledFetch extends AsyncDisposable {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  stats(): PooledFetchStats;
  /**
   * Closes all connections, each when the answer that it carries has ended; further calls are refused.
   * @param graceMs after which connections are closed in the middle of an answer, milliseconds; default 10000
   * @throws OptionError, by the promise, for what is no number of at least 0
   */
  close(graceMs?: number): Promise<void>;
}

const DEFAULT_GRACE_MS = 10_000;

/**
 * Node's `fetch` with a pool of connections of its own, for the `fetch` option of providers: `new ChatOpenAI({ configuration: { fetch: pooledFetch() } })`.
 * It needs the package `undici` (6 or newer), which is loaded at the first request. Idle connections do not keep the process alive, and one that is found closed
 * is replaced: a request that it never carried is sent over the next. What a server may have seen is never sent again. Proxies of the environment are not used.
 * @throws OptionError for a bad option; a call rejects with MissingPeerError where undici is not installed
 */
export function pooledFetch(options: PooledFetchOptions = {}): PooledFetch {
  const resolved = resolveWith("pooledFetch", options, resolve);
  const { fetch } = globalThis;
  const pools = new LazyPools(resolved);
  let [requests, failed] = [0, 0];
  const pooled = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    requests += 1;
    try {
      const opened = await pools.open();
      const body = init?.body;
      const dispatcher = typeof body === "string" || body instanceof Uint8Array ? opened.withBody(body) : opened;
      return await fetch(input, { ...init, dispatcher } as RequestInit);
    } catch (error) {
      if (!isAborted(input, init)) failed += 1;
      throw error;
    }
  };
  const stats = (): PooledFetchStats => {
    const { counts: { opened, closed, lost, reused } = NONE, running = 0, pending = 0 } = pools.opened ?? {};
    return { connections: opened - closed, opened, closed, lost, requests, reused, failed, running, pending };
  };
  const close = async (graceMs?: number): Promise<void> => {
    const read = new OptionReader("pooledFetch.close", { graceMs });
    await pools.close(Math.min(read.number("graceMs", { default: DEFAULT_GRACE_MS, min: 0 }), LONGEST_TIMEOUT_MS));
  };
  return Object.assign(pooled, { stats, close, [Symbol.asyncDispose]: () => close() });
}

const NONE = { opened: 0, closed: 0, lost: 0, reused: 0 };

function resolve(read: OptionReader): PoolOptions {
  const tcpKeepAliveMs = read.number("tcpKeepAliveMs", { default: 30_000, min: 0, max: LONGEST_TIMEOUT_MS });
  // The system counts in seconds.
  if (tcpKeepAliveMs > 0 && tcpKeepAliveMs < 1_000) throw new OptionError(read.pathOf("tcpKeepAliveMs"), "0 or at least 1000", tcpKeepAliveMs);
  return {
    connections: read.number("connections", { default: 64, min: 1, integer: true }),
    keepAliveMs: read.number("keepAliveMs", { default: 30_000, min: 1, max: LONGEST_TIMEOUT_MS }),
    tcpKeepAliveMs,
    http2: read.boolean("http2", false),
  };
}

/** Opened by the first request. */
class LazyPools {
  readonly #options: PoolOptions;
  #undici: Undici | undefined;
  #opened: Pools | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get opened(): Pools | undefined {
    return this.#opened;
  }

  async open(): Promise<Pools> {
    this.#undici ??= await this.#load();
    if (this.#closing) throw new Error("This fetch is closed.");
    return (this.#opened ??= new Pools(this.#undici, this.#options));
  }

  async #load(): Promise<Undici> {
    const undici: Undici = await loadPeer("undici", () => import("undici"));
    // The HTTP/2 of version 6 never ends a request whose connection breaks.
    if (this.#options.http2 && !("H2CClient" in undici)) throw new OptionError("pooledFetch.http2", "a newer undici (npm install undici@7)", "version 6 or an early 7");
    return undici;
  }

  close(graceMs: number): Promise<void> {
    return (this.#closing ??= Promise.resolve(this.#opened?.close(graceMs)));
  }
}

function isAborted(input: string | URL | Request, init: RequestInit | undefined): boolean {
  return init?.signal?.aborted ?? (input instanceof Request && input.signal.aborted);
}
