/** The server of `pooled-fetch.ts`, in a process of its own: answers each question with a short text, plain and over TLS. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

const [, , key = "", cert = ""] = process.argv;
const ANSWER = JSON.stringify({ choices: [{ message: { role: "assistant", content: "word ".repeat(50) } }] });

const answer = (request: IncomingMessage, response: ServerResponse): void => {
  // Said so, Node does not tell for how long: neither do the providers.
  response.setHeader("content-type", "application/json").setHeader("connection", "keep-alive");
  request.resume().on("end", () => response.end(ANSWER));
};
const listening = async (server: Server): Promise<number> => {
  server.keepAliveTimeout = 600_000;
  await once(server.listen(0, "127.0.0.1", 1_024), "listening");
  return (server.address() as AddressInfo).port;
};
const [plain, tls] = [createServer(answer), createTlsServer({ key, cert }, answer)];
process.once("disconnect", () => process.exit());
process.send?.({ plain: `http://127.0.0.1:${await listening(plain)}/`, tls: `https://127.0.0.1:${await listening(tls)}/` });
