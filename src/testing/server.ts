import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { handleControl } from "./control.ts";
import { anthropicMessages } from "./formats/anthropic.ts";
import { chatCompletions } from "./formats/chat-completions.ts";
import { completions } from "./formats/completions.ts";
import { embeddings } from "./formats/embeddings.ts";
import { isObject } from "./formats/fields.ts";
import { listModels } from "./formats/models.ts";
import { openAIErrorBody } from "./formats/openai.ts";
import { createResponsesFormat } from "./formats/responses.ts";
import type { Provider } from "./provider.ts";
import { BadRequest, type ApiFormat } from "./reply.ts";

/** The endpoints; the formats that keep conversations are made anew for each server. */
function endpoints(): Record<string, ApiFormat> {
  return {
    "/chat/completions": chatCompletions,
    "/completions": completions,
    "/responses": createResponsesFormat(),
    "/embeddings": embeddings,
    "/messages": anthropicMessages,
  };
}

const MAX_BODY_BYTES = 64 * 1024 * 1024;
/** Longer than clients keep idle connections, so that it is the client who closes them. */
const KEEP_ALIVE_MS = 65_000;

/** The HTTP server before a provider. */
export function createProviderServer(provider: Provider): Server {
  const formats = endpoints();
  const server = createServer((request, response) => {
    route(provider, formats, request, response).catch((error: unknown) => fail(response, error));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  return server;
}

async function route(provider: Provider, formats: Record<string, ApiFormat>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const arrivedAt = performance.now();
  const url = new URL(request.url ?? "/", "http://localhost");
  if (url.pathname.startsWith("/_control/")) return handleControl(provider, request, response, url);
  const path = url.pathname.replace(/^\/v1(?=\/)/, "");
  if (request.method === "GET" && (path === "/models" || path.startsWith("/models/"))) return listModels(response, path);
  const format = Object.hasOwn(formats, path) ? formats[path] : undefined;
  if (format === undefined) throw new BadRequest(`Invalid URL (${request.method} ${url.pathname})`, null, 404);
  if (request.method !== "POST") throw new BadRequest(`Method ${request.method} is not allowed for ${url.pathname}`, null, 405);
  const abort = new AbortController();
  response.once("close", () => abort.abort());
  const entry = provider.log.begin(url.pathname);
  let body: Record<string, unknown>;
  try {
    body = await readJson(request);
  } catch (error) {
    entry.outcome = request.destroyed ? "aborted" : "rejected";
    throw error;
  }
  await provider.handle({ format, request, response, path: url.pathname, body, entry, signal: abort.signal, arrivedAt });
}

/** The body as a JSON object; throws `BadRequest`. */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const text = await readText(request);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new BadRequest("We could not parse the JSON body of your request.");
  }
  if (!isObject(body)) throw new BadRequest("The body must be a JSON object.");
  return body;
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY_BYTES) throw new BadRequest(`The body is larger than ${MAX_BODY_BYTES} bytes.`, null, 413);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const status = error instanceof BadRequest ? error.status : 500;
  const message = error instanceof Error ? error.message : String(error);
  sendJson(response, status, openAIErrorBody({ status, message, type: status < 500 ? "invalid_request_error" : "server_error" }));
}

/** Answers with a JSON body. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
