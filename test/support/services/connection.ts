import { connect, createServer } from "node:net";

export const HOST = "127.0.0.1";

/** Below the kernel's range for outgoing connections, so that a killed server finds its port free again; a cluster's second port, 10000 above, is no candidate either. */
const FIRST_PORT = 11_000;
const PORTS = 10_000;

/** A port of 127.0.0.1 on which nobody listens. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

/** Sends `request` over a connection of its own and gives what came back as soon as `isWhole` likes it. Rejects when that takes longer than `timeoutMs`. */
export function converse(port: number, request: string, isWhole: (reply: Buffer) => boolean, timeoutMs = 1000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, HOST, () => socket.write(request));
    let reply = Buffer.alloc(0);
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error) reject(error);
      else resolve(reply);
    };
    const timer = setTimeout(() => finish(new Error(`Port ${port} gave no whole answer within ${timeoutMs} ms.`)), timeoutMs);
    socket.on("data", (chunk) => {
      reply = Buffer.concat([reply, chunk]);
      if (isWhole(reply)) finish();
    });
    socket.on("error", finish);
    socket.on("end", () => finish(new Error(`Port ${port} hung up.`)));
  });
}
