import type { ServerResponse } from "node:http";

const MODELS = [
  "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-3.5-turbo-instruct", "claude-sonnet-4-5",
  "text-embedding-3-small", "text-embedding-3-large", "chunks-100",
];

/** `GET /v1/models` and `GET /v1/models/<id>`: any name works as a model, these are listed. */
export function listModels(response: ServerResponse, path: string): void {
  const describe = (id: string): unknown => ({ id, object: "model", created: 1_700_000_000, owned_by: "langchain-perf" });
  const named = decodeURIComponent(path.slice("/models/".length));
  const body = named === "" ? { object: "list", data: MODELS.map(describe) } : describe(named);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
