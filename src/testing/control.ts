import type { IncomingMessage, ServerResponse } from "node:http";
import { OptionError } from "../core/errors.ts";
import type { FaultRule } from "./fault-rules.ts";
import { readJson, sendJson } from "./json-body.ts";
import type { SimulatedRequest } from "./log.ts";
import type { Provider } from "./provider.ts";
import { BadRequest } from "./reply.ts";

const FILTERS = ["path", "model", "digest", "outcome", "fault", "status", "stream"] as const;

/**
 * The control API:
 * - `GET /_control/requests[?model=…&outcome=…&limit=…]` the log, `DELETE` empties it
 * - `GET /_control/faults`, `POST` adds a rule (JSON, or `{ "fault": "status=429,times=2" }`), `DELETE` removes all
 * - `DELETE /_control/faults/<id>` removes one
 * - `POST /_control/reset` back to the start
 */
export async function handleControl(provider: Provider, request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const [resource, id] = url.pathname.slice("/_control/".length).split("/");
  switch (`${request.method} ${resource}${id === undefined ? "" : "/id"}`) {
    case "GET requests":
      return sendJson(response, 200, requestsBody(provider, url.searchParams));
    case "DELETE requests":
      provider.log.clear();
      return sendJson(response, 200, { cleared: true });
    case "GET faults":
      return sendJson(response, 200, { faults: provider.faults.list() });
    case "POST faults":
      return addFault(provider, request, response);
    case "DELETE faults":
      provider.faults.clear();
      return sendJson(response, 200, { cleared: true });
    case "DELETE faults/id":
      return sendJson(response, 200, { removed: provider.faults.remove(Number(id)) });
    case "POST reset":
      provider.reset();
      return sendJson(response, 200, { reset: true });
    default:
      throw new BadRequest(`Unknown control request (${request.method} ${url.pathname})`, null, 404);
  }
}

async function addFault(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readJson(request);
  try {
    const id = provider.faults.add(typeof body.fault === "string" ? body.fault : (body as unknown as FaultRule));
    sendJson(response, 201, { id });
  } catch (error) {
    throw error instanceof OptionError ? new BadRequest(error.message, error.option) : error;
  }
}

function requestsBody(provider: Provider, query: URLSearchParams): unknown {
  const wanted = FILTERS.filter((name) => query.has(name)).map((name) => [name, query.get(name)] as const);
  const found = provider.log.filter((entry: SimulatedRequest) => wanted.every(([name, value]) => String(entry[name]) === value));
  const limit = Number(query.get("limit") ?? 1_000);
  if (!Number.isInteger(limit) || limit < 1) throw new BadRequest("limit must be an integer of at least 1", "limit");
  return { total: provider.log.count(), matching: found.length, load: provider.load, requests: found.slice(-limit) };
}
