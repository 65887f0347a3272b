import { AsyncLocalStorage } from "node:async_hooks";
import type { Socket } from "node:net";
import type { Client, Dispatcher, Pool, buildConnector } from "undici";
import { systemClock } from "../core/clock.ts";
import { type ConnectionCounts, count, requestsOf } from "./connections.ts";

/** The package, of which version 8 alone has what translates for the older `fetch` of Node 22 and 24. */
export type Undici = Omit<typeof import("undici"), "default"> & { readonly Dispatcher1Wrapper?: { wrapHandler(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler } };

export interface PoolOptions {
  readonly connections: number;
  readonly keepAliveMs: number;
  readonly tcpKeepAliveMs: number;
  readonly http2: boolean;
}

/** A request, and what runs work as if whoever asked for it had called it. */
type InContext = Dispatcher.DispatchOptions & { readonly inContext?: <T>(work: () => T) => T };

const atOnce = <T>(work: () => T): T => work();

/** A server closes an idle connection when it said that it would, and what is sent a moment before is lost. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
/** Of one HTTP/2 connection; servers allow 100 to 250. */
const MAX_STREAMS = 100;
/** An idle HTTP/2 connection is found this many times within `keepAliveMs`. */
const CHECKS = 4;

/** One pool of connections for each server that was asked. This is what Node's `fetch` calls a dispatcher. */
export class Pools {
  readonly counts: ConnectionCounts = { opened: 0, closed: 0, lost: 0, reused: 0 };
  readonly #undici: Undici;
  readonly #options: PoolOptions;
  readonly #connect: buildConnector.connector;
  readonly #pools = new Map<string, Pool>();

  constructor(undici: Undici, options: PoolOptions) {
    const { http2, tcpKeepAliveMs } = options;
    this.#undici = undici;
    this.#options = options;
    this.#connect = undici.buildConnector({ allowH2: http2, keepAlive: tcpKeepAliveMs > 0, keepAliveInitialDelay: tcpKeepAliveMs });
  }

  /** Requests whose answers have begun or are awaited. */
  get running(): number {
    return this.#sum("running");
  }

  /** Requests that wait for a connection. */
  get pending(): number {
    return this.#sum("pending");
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { Dispatcher1Wrapper } = this.#undici;
    const asked: InContext = { ...options, inContext: AsyncLocalStorage.snapshot() };
    return this.#poolOf(String(options.origin)).dispatch(asked, Dispatcher1Wrapper?.wrapHandler(handler) ?? handler);
  }

  /**
   * The dispatcher for a request whose body is at hand. `fetch` gives every body as a stream, and a stream is written by pieces and has a connection for itself;
   * HTTP/2 would carry one question at a time.
   */
  withBody(body: string | Uint8Array): Pick<Pools, "dispatch"> {
    const idempotent = this.#options.http2;
    return { dispatch: (options, handler) => this.dispatch(options.body ? { ...options, body, ...(idempotent && { idempotent }) } : options, handler) };
  }

  /** Lets what is under way end, for this long. */
  async close(graceMs: number): Promise<void> {
    const pools = [...this.#pools.values()];
    const timer = setTimeout(() => void pools.map((pool) => pool.destroy()), graceMs);
    await Promise.all(pools.map((pool) => pool.close()));
    clearTimeout(timer);
  }

  #sum(of: "running" | "pending"): number {
    return this.#pools.values().reduce((sum, { stats }) => sum + stats[of], 0);
  }

  #poolOf(origin: string): Pool {
    let pool = this.#pools.get(origin);
    if (!pool) this.#pools.set(origin, (pool = this.#open(origin)));
    return pool;
  }

  #open(origin: string): Pool {
    const { connections, keepAliveMs, http2 } = this.#options;
    const pool: Pool = new this.#undici.Pool(origin, {
      connections: connections === Infinity ? null : connections,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
      allowH2: http2,
      factory: (url, options) => this.#client(url, options, () => pool.stats.size > 0),
    });
    return pool;
  }

  /** One connection of a pool, and its successors. */
  #client(url: URL, options: object, isBusy: () => boolean): Client {
    const connect: buildConnector.connector = (to, done) =>
      this.#connect(to, (...[error, socket]) => {
        if (error) return done(error, null);
        count(socket, this.counts);
        const isHttp2 = "alpnProtocol" in socket && socket.alpnProtocol === "h2";
        client.pipelining = isHttp2 ? MAX_STREAMS : 1;
        if (isHttp2) this.#closeWhenIdle(socket, isBusy);
        done(null, socket);
      });
    const client = new this.#undici.Client(url, { ...options, connect });
    const { dispatch } = client;
    // A request that has waited is made by whoever frees its connection, and would count as that one's wherever context counts, as in traces.
    client.dispatch = (asked: InContext, handler) => (asked.inContext ?? atOnce)(() => dispatch.call(client, asked, handler));
    return client;
  }

  /** undici closes idle connections of HTTP/1 alone. */
  #closeWhenIdle(socket: Socket, isBusy: () => boolean): void {
    const { keepAliveMs } = this.#options;
    // Of its own kind, by which undici knows that nothing is wrong; without any error, it throws.
    const { InformationalError } = this.#undici.errors;
    let [requests, busyAt] = [0, systemClock.elapsed()];
    const timer = setInterval(() => {
      const now = systemClock.elapsed();
      if (isBusy() || requests !== requestsOf(socket)) [requests, busyAt] = [requestsOf(socket), now];
      else if (now - busyAt >= keepAliveMs) socket.destroy(new InformationalError("idle for keepAliveMs"));
    }, keepAliveMs / CHECKS).unref();
    socket.once("close", () => clearInterval(timer));
  }
}
