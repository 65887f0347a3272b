import { subscribe } from "node:diagnostics_channel";
import type { Attempt } from "../core/layer.ts";
import { currentScope } from "./scope.ts";

type Heard = NonNullable<Attempt["heard"]>;

/** As undici publishes it: names and values in turn, not decoded. */
interface Published {
  readonly request: object;
  readonly response: { readonly statusCode: number; readonly headers: readonly (Buffer | string)[] };
}

/** What comes before a response is not one. */
const FIRST_STATUS = 200;

const LISTENING = Symbol.for("langchain-perf/response-headers@1");
const shared = globalThis as { [LISTENING]?: true };

/**
 * From now on every attempt that wants to hear of HTTP responses does so, if the request goes through undici, as those of Node's `fetch` and of the undici package
 * do. Neither clients nor `fetch` are touched: undici tells of its requests by `node:diagnostics_channel`, in the async context of whoever makes them. A pool whose
 * connections are all busy makes a request later, in the context of the answer that freed one; what is heard then may come too late to be heard.
 */
export function listenToResponses(): void {
  if (shared[LISTENING]) return;
  shared[LISTENING] = true;
  const listeners = new WeakMap<object, { readonly attempt: Attempt; readonly heard: Heard }>();
  // An error thrown by a subscriber ends the process.
  subscribe("undici:request:create", (message) => {
    const attempt = currentScope()?.leaf?.attempt;
    if (attempt?.heard) listeners.set((message as Published).request, { attempt, heard: attempt.heard });
  });
  subscribe("undici:client:sendHeaders", (message) => {
    const listener = listeners.get((message as Published).request);
    listener?.attempt.sent?.();
  });
  subscribe("undici:request:headers", (message) => {
    const { request, response } = message as Published;
    const listener = listeners.get(request);
    if (!listener || response.statusCode < FIRST_STATUS) return;
    try {
      listener.heard.call(listener.attempt, response.statusCode, headersOf(response.headers));
    } catch {
      // Nobody who waits for the answer is to be harmed by who listens.
    }
  });
}

function headersOf(raw: Published["response"]["headers"]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let place = 0; place + 1 < raw.length; place += 2) headers.set(text(raw[place]).toLowerCase(), text(raw[place + 1]));
  return headers;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : (value as Buffer).toString("latin1");
}
