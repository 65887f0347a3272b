import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { handleControl } from "./control.ts";
import { anthropicMessages } from "./formats/anthropic.ts";
import { chatCompletions } from "./formats/chat-completions.ts";
import { completions } from "./formats/completions.ts";
import { embeddings } from "./formats/embeddings.ts";
import { listModels } from "./formats/models.ts";
import { openAIErrorBody } from "./formats/openai.ts";
import { createResponsesFormat } from "./formats/responses.ts";
import type { Provider } from "./provider.ts";
import { readJson, sendJson } from "./json-body.ts";
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
    entry.outcome = error instanceof BadRequest ? "rejected" : "aborted";
    if (error instanceof BadRequest) entry.status = error.status;
    throw error;
  }
  await provider.handle({ format, request, response, path: url.pathname, body, entry, signal: abort.signal, arrivedAt });
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
