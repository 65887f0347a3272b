import type { Socket } from "node:net";
import { DeadlineError } from "../core/errors.ts";
import { loadPeer } from "../core/peer.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** What is used of memjs' client. */
export interface Client {
  get(name: string): Promise<{ value: Buffer | null }>;
  set(name: string, value: Buffer, options: { expires: number }): Promise<boolean>;
  add(name: string, value: Buffer, options: { expires: number }): Promise<boolean>;
  append(name: string, value: Buffer): Promise<boolean>;
  delete(name: string): Promise<boolean>;
}

/** What is used of memjs' server, some of which is not documented. */
interface Server {
  username: string | undefined;
  password: string | undefined;
  _socket?: Socket | undefined;
  sock(sasl: boolean, go: (socket: Socket) => void): void;
  error(error: Error): void;
}

interface Memjs {
  readonly Client: new (servers: readonly Server[], options: object) => Client;
  readonly Server: new (host: string, port: number, username: undefined, password: undefined, options: object) => Server;
}

/** A client and its connections until the first of them fails. */
interface Life {
  readonly client: Client;
  end(error: Error): void;
}

const QUIET = { log: () => {} };

/**
 * Commands to memcached through memjs. After a timeout memjs goes on with a new connection and the half-read answer of the old one,
 * and mistakes one for the other; so its client is thrown away, with its connections, as soon as anything fails in them.
 */
export class MemcachedConnection {
  readonly #addresses: readonly Address[];
  readonly #timeoutMs: number;
  #memjs: Memjs | undefined;
  #life: Life | undefined;
  #closed = false;

  constructor(addresses: readonly Address[], timeoutMs: number) {
    this.#addresses = addresses;
    this.#timeoutMs = timeoutMs;
  }

  /** Runs one command. @throws DeadlineError after `timeoutMs`; MissingPeerError without memjs */
  async run<Result>(command: (client: Client) => Promise<Result>): Promise<Result> {
    this.#memjs ??= await loadPeer("memjs", async () => (await import("memjs")) as unknown as Memjs);
    if (this.#closed) throw new Error("The memcached store is closed.");
    const life = (this.#life ??= this.#begin(this.#memjs));
    const late = (): void => life.end(new DeadlineError(`memcached did not answer within ${this.#timeoutMs} ms.`));
    // The answer may have come while this process was busy: it is heard before the second timer. Both keep the process alive.
    let second: NodeJS.Immediate | undefined;
    const first = setTimeout(() => (second = setImmediate(late)), this.#timeoutMs);
    try {
      return await command(life.client);
    } finally {
      clearTimeout(first);
      if (second) clearImmediate(second);
    }
  }

  close(): void {
    this.#closed = true;
    this.#life?.end(new Error("The memcached store was closed."));
  }

  #begin({ Client, Server }: Memjs): Life {
    // The deadline is ours; memjs' own only have to be later.
    const timeout = (this.#timeoutMs * 10) / 1_000;
    const sockets = new Set<Socket>();
    let ended = false;
    const end = (error: Error): void => {
      if (ended) return;
      ended = true;
      if (this.#life === life) this.#life = undefined;
      for (const socket of sockets) socket.destroy();
      // Rejects whatever waits for an answer.
      for (const server of servers) server.error(error);
    };
    const servers = this.#addresses.map(({ host, port, username, password }) => {
      const server = new Server(host, port, undefined, undefined, { timeout, conntimeout: timeout, keepAlive: true });
      const connect = server.sock.bind(server);
      server.sock = (sasl, go) => {
        connect(sasl, go);
        const socket = server._socket;
        if (!socket || sockets.has(socket)) return;
        sockets.add(socket.unref().setNoDelay());
        socket.once("error", end);
        socket.once("close", () => end(new Error("memcached closed the connection.")));
      };
      // Set afterwards: without them memjs takes those of the environment.
      return Object.assign(server, { username, password });
    });
    const life: Life = { client: new Client(servers, { retries: 1, failover: false, logger: QUIET }), end };
    return life;
  }
}
