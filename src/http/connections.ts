import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

/** What has happened to the connections of one pool so far. */
export interface ConnectionCounts {
  opened: number;
  closed: number;
  lost: number;
  reused: number;
}

/** One open connection. */
interface Use {
  readonly counts: ConnectionCounts;
  requests: number;
}

const uses = new WeakMap<object, Use>();
let isListening = false;

/** undici tells in a channel which request it writes to which connection. It is heard by one listener for all pools, since none of them need ever be closed. */
function listen(): void {
  if (isListening) return;
  isListening = true;
  subscribe("undici:client:sendHeaders", (message) => {
    const use = uses.get((message as { socket: object }).socket);
    if (!use) return;
    use.requests += 1;
    if (use.requests > 1) use.counts.reused += 1;
  });
}

/** Counts what happens to a connection from now on. */
export function count(socket: Socket, counts: ConnectionCounts): void {
  listen();
  uses.set(socket, { counts, requests: 0 });
  counts.opened += 1;
  let isLost = false;
  socket.once("end", () => (isLost = true));
  // What undici itself closes it for is no error of the system.
  socket.once("error", (error: NodeJS.ErrnoException) => (isLost ||= error.syscall !== undefined));
  socket.once("close", () => {
    counts.closed += 1;
    if (isLost) counts.lost += 1;
  });
}

/** How many requests a connection has carried. */
export function requestsOf(socket: Socket): number {
  return uses.get(socket)?.requests ?? 0;
}
