import type { createMiddleware } from "langchain";
import type { CallWishes } from "../core/control.ts";
import { OptionError } from "../core/errors.ts";

type Middleware = ReturnType<typeof createMiddleware>;

/** What `createMiddleware` marks its objects with. Made here, because importing it takes a quarter of a second, and langchain is optional. */
const BRAND = Symbol.for("AgentMiddleware");

/** As much of a `Perf` as the middleware uses. */
interface Runs {
  run<T>(work: () => T, wishes?: CallWishes): T;
}

/**
 * For agents that are configured rather than wrapped: `createAgent({ middleware: [perfMiddleware(perf)] })`. The agent's model
 * calls go through the perf. Prefer `withPerf(agent)`: with any middleware around a model LangChain itself turns its errors into
 * MiddlewareErrors, and tools stay outside, because a middleware around them would turn their failures into the agent's.
 * @throws OptionError when `perf` is none
 */
export function perfMiddleware(perf: Runs): Middleware {
  if (typeof perf?.run !== "function") throw new OptionError("perf", "a perf made by createPerf", perf);
  const wrapModelCall: Middleware["wrapModelCall"] = (request, handler) => perf.run(() => handler(request), wishesOf(request.runtime));
  return { [BRAND]: true, name: "langchain-perf", wrapModelCall } as unknown as Middleware;
}

function wishesOf(runtime: unknown): CallWishes | undefined {
  return (runtime as { configurable?: { perf?: CallWishes } } | undefined)?.configurable?.perf;
}
