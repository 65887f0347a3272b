import { once } from "node:events";
import { connect, createServer, type Server as Listener, type Socket } from "node:net";
import { freePort, HOST } from "./connection.ts";

/** A TCP proxy that makes a network's faults. It is in one state at a time; the last call counts. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** How many clients are connected. */
  readonly connections: number;
  /** Every byte later by `ms`, in both directions. */
  delay(ms: number): void;
  /** Kills the open connections and refuses new ones. */
  cut(): void;
  /** Connections stay open, new ones are taken, and bytes go nowhere. Such a connection is closed by whatever ends the stalling. */
  stall(): void;
  /** Flips every bit of what the server answers. */
  garble(): void;
  /** Back to normal. */
  heal(): void;
  close(): Promise<void>;
}

/** In front of a port of 127.0.0.1. */
export async function faultProxy(targetPort: number): Promise<FaultProxy> {
  const proxy = new Proxying(await freePort(), targetPort);
  await proxy.ready;
  return proxy;
}

type State = { readonly kind: "normal" | "cut" | "stall" | "garble" } | { readonly kind: "delay"; readonly delayMs: number };

class Proxying implements FaultProxy {
  readonly port: number;
  readonly ready: Promise<unknown>;
  readonly #targetPort: number;
  readonly #links = new Set<Link>();
  #listener: Listener | undefined;
  #state: State = { kind: "normal" };

  constructor(port: number, targetPort: number) {
    this.port = port;
    this.#targetPort = targetPort;
    this.ready = once(this.#listen(), "listening");
  }

  get connections(): number {
    return [...this.#links].filter((link) => link.isOpen).length;
  }

  delay(ms: number): void {
    this.#enter({ kind: "delay", delayMs: ms });
  }

  cut(): void {
    this.#enter({ kind: "cut" });
    this.#listener?.close();
    this.#listener = undefined;
    this.#drop();
  }

  stall(): void {
    this.#enter({ kind: "stall" });
  }

  garble(): void {
    this.#enter({ kind: "garble" });
  }

  heal(): void {
    this.#enter({ kind: "normal" });
  }

  async close(): Promise<void> {
    const listener = this.#listener;
    this.cut();
    if (listener?.listening) await once(listener, "close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #enter(state: State): void {
    const was = this.#state.kind;
    this.#state = state;
    // What a stalled connection has lost would be missing from the middle of its stream.
    if (was === "stall" && state.kind !== "stall") this.#drop();
    if (was === "cut" && state.kind !== "cut") this.#listen();
  }

  #drop(): void {
    for (const link of this.#links) link.destroy();
    this.#links.clear();
  }

  #listen(): Listener {
    const listener = createServer({ allowHalfOpen: true }, (client) => {
      const link = new Link(client, this.#targetPort, () => this.#state);
      this.#links.add(link);
      link.onClosed(() => this.#links.delete(link));
    });
    listener.listen(this.port, HOST).unref();
    this.#listener = listener;
    return listener;
  }
}

/** A client's connection together with ours to the server. */
class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #state: () => State;

  constructor(client: Socket, targetPort: number, state: () => State) {
    this.#client = client;
    this.#server = connect({ port: targetPort, host: HOST, allowHalfOpen: true });
    this.#state = state;
    this.#carry(client, this.#server, (bytes) => bytes);
    this.#carry(this.#server, client, (bytes) => (state().kind === "garble" ? bytes.map((byte) => byte ^ 0xff) : bytes));
  }

  /** Whether the client is still connected. */
  get isOpen(): boolean {
    return !this.#client.destroyed;
  }

  /** When both sides are: what the client sent last may still be on its way. */
  onClosed(listener: () => void): void {
    const sockets = [this.#client, this.#server];
    for (const socket of sockets) socket.on("close", () => sockets.every(({ closed }) => closed) && listener());
  }

  destroy(): void {
    this.#client.resetAndDestroy();
    this.#server.destroy();
  }

  #carry(from: Socket, to: Socket, changed: (bytes: Buffer) => Uint8Array): void {
    let dueMs = 0;
    // In order even where the delay gets shorter.
    const pass = (deliver: () => void): void => {
      const state = this.#state();
      if (state.kind === "stall") return;
      const now = performance.now();
      dueMs = Math.max(dueMs, now + (state.kind === "delay" ? state.delayMs : 0));
      if (dueMs <= now) return deliver();
      setTimeout(() => this.#state().kind !== "stall" && deliver(), Math.ceil(dueMs - now)).unref();
    };
    from.setNoDelay(true).unref();
    from.on("data", (bytes) => pass(() => !to.destroyed && to.write(changed(bytes))));
    from.on("end", () => pass(() => to.end()));
    from.on("error", () => pass(() => this.destroy()));
  }
}
