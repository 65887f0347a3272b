import { ignore } from "../../core/abort.ts";
import { PerfError } from "../../core/errors.ts";
import { isRefusal, type RedisLike } from "./client.ts";

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
  /** Why there is no connection, from the latest attempt that has told. */
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
    const cause = withoutSecrets(this.#lastError);
    throw new Error(cause ? `Redis is not connected: ${cause.message}` : "Redis is not connected", { cause });
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
    let failure: unknown;
    client.on("error", (error) => (this.#lastError = failure = client.options.tls ? timeoutOfTls(error) : error));
    client.on("end", () => this.#ended(client));
    client.on("connect", () => client.stream?.unref());
    const deadline = setTimeout(() => {
      this.#lastError = failure ??= new Error(`no answer within ${HANDSHAKE_TIMEOUT_MS} ms`);
      this.#abandon(client);
    }, HANDSHAKE_TIMEOUT_MS).unref();
    try {
      await client.connect();
    } catch (error) {
      // ioredis says only that the connection is closed where it has told the reason before.
      if (failure === undefined && this.#current === client) this.#lastError = error;
      throw error;
    } finally {
      clearTimeout(deadline);
    }
    if (this.#current !== client) throw new Error("This connection was given up");
    // ioredis goes on in database 0 when there is no such database as was asked for.
    if (isRefusal(failure)) {
      this.#abandon(client);
      throw failure;
    }
    this.#lastError = undefined;
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

/** A plain Redis waits for the end of a line that never comes in a TLS handshake. */
function timeoutOfTls(error: unknown): unknown {
  const isTimeout = error instanceof Error && (error as NodeJS.ErrnoException).code === "ETIMEDOUT";
  return isTimeout ? new Error(`${error.message}, perhaps because the port does not speak TLS`, { cause: error }) : error;
}

/** Errors of ioredis carry the command that failed, which may be the one with the password; a server may repeat it in the message. */
function withoutSecrets(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  const { command } = error as { command?: { name: string; args: readonly unknown[] } };
  if (!command) return error;
  const secret = /^(auth|hello)$/i.test(command.name) ? String(command.args.at(-1) ?? "") : "";
  return new Error(secret ? error.message.replaceAll(secret, "***") : error.message);
}
