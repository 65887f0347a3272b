import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { promisify } from "node:util";

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** A certificate for 127.0.0.1 that nobody else has signed; this process trusts it from now on. */
export async function trustedCertificate(): Promise<Certificate> {
  const folder = mkdtempSync(join(tmpdir(), "langchain-perf-http-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"];
  await promisify(execFile)("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, ...subject]);
  const made = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  rmSync(folder, { recursive: true });
  setDefaultCACertificates([...getCACertificates("default"), made.cert]);
  return made;
}

/** Of a request of HTTP/2, too: Node gives it the same methods. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  /** Connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections that there have been. */
  readonly accepted: number;
}

export interface ServerOptions {
  readonly certificate?: Certificate;
  readonly http2?: boolean;
  /** What the server tells and does, milliseconds. @default an hour */
  readonly keepAliveTimeout?: number;
}

/** A real server on a free port. */
export async function serve(answer: Answer, { certificate, http2 = false, keepAliveTimeout = 3_600_000 }: ServerOptions = {}): Promise<TestServer> {
  const server: NetServer = http2
    ? createSecureServer({ ...certificate, allowHTTP1: true }, (request, response) => answer(request as unknown as IncomingMessage, response as unknown as ServerResponse))
    : certificate
      ? createTlsServer({ ...certificate, keepAliveTimeout }, answer)
      : createServer({ keepAliveTimeout }, answer);
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on(certificate ? "secureConnection" : "connection", (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `${certificate ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    sockets,
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Answers with what was sent. */
export const echo: Answer = (request, response) => void request.pipe(response);

/** Answers when told to. */
export class Gate {
  readonly held: (() => void)[] = [];
  readonly answer: Answer = (request, response) => {
    request.resume();
    this.held.push(() => response.end("done"));
  };

  open(): void {
    for (const release of this.held.splice(0)) release();
  }
}
