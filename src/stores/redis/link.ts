import { ignore } from "../../core/abort.ts";
import { PerfError } from "../../core/errors.ts";
import type { RedisLike } from "./client.ts";

export interface LinkEvents {
  /** A new connection is ready. */
  up?(client: RedisLike): void;
  /** The connection has ended. */
  down?(): void;
}

/** From the attempt to connect until Redis has answered the handshake: a frozen server takes connections and says nothing. */
const HANDSHAKE_TIMEOUT_MS = 3000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 500;

/** Keeps one connection of our own: makes another as soon as one has ended. When idle it does not keep the process alive. */
export class Link {
  readonly #make: () => Promise<RedisLike>;
  readonly #events: LinkEvents;
  #current: RedisLike | undefined;
  #ready: RedisLike | undefined;
  #first: Promise<RedisLike> | undefined;
  #failures = 0;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;
  #lastError: unknown;

  /** @param make makes a client that is not connected and never reconnects by itself */
  constructor(make: () => Promise<RedisLike>, events: LinkEvents = {}) {
    this.#make = make;
    this.#events = events;
  }

  /** The client, while its connection is ready. */
  get client(): RedisLike | undefined {
    return this.#ready;
  }

  /** The client. Waits for the first attempt to connect; later, a broken connection rejects at once. */
  async open(): Promise<RedisLike> {
    const client = this.#ready ?? (await (this.#first ??= this.#attempt()).then(() => this.#ready, ignore));
    if (client) return client;
    if (PerfError.isInstance(this.#lastError)) throw this.#lastError;
    throw new Error("Redis is not connected", { cause: this.#lastError });
  }

  /** Gives the connection up, e.g. because nothing comes from it, and makes another. */
  reset(): void {
    if (this.#current) this.#abandon(this.#current);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#pause);
    this.reset();
  }

  async #attempt(): Promise<RedisLike> {
    const client = await this.#make().catch((error: unknown) => {
      this.#lastError = error;
      // A missing package or a server that is too old stays so.
      if (!PerfError.isInstance(error)) this.#retry();
      throw error;
    });
    await this.#connect(client);
    return client;
  }

  async #connect(client: RedisLike): Promise<void> {
    if (this.#closed) throw new Error("This connection is closed");
    this.#current = client;
    this.#lastError = undefined;
    client.on("error", (error) => (this.#lastError = error));
    client.on("end", () => this.#ended(client));
    client.on("connect", () => client.stream?.unref());
    const deadline = setTimeout(() => this.#abandon(client), HANDSHAKE_TIMEOUT_MS).unref();
    try {
      await client.connect();
    } finally {
      clearTimeout(deadline);
    }
    if (this.#current !== client) throw new Error("This connection was given up");
    this.#failures = 0;
    this.#ready = client;
    this.#events.up?.(client);
  }

  #abandon(client: RedisLike): void {
    client.disconnect();
    // A polite end waits for the other side, which may be gone.
    client.stream?.destroy();
    this.#ended(client);
  }

  #ended(client: RedisLike): void {
    if (this.#current !== client) return;
    this.#current = undefined;
    const wasReady = this.#ready === client;
    this.#ready = undefined;
    if (wasReady) this.#events.down?.();
    this.#retry();
  }

  #retry(): void {
    if (this.#closed) return;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => void this.#attempt().catch(ignore), pauseMs).unref();
  }
}
