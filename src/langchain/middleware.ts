import { createMiddleware } from "langchain";
import type { CallWishes } from "../core/control.ts";
import { OptionError } from "../core/errors.ts";

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
export function perfMiddleware(perf: Runs): ReturnType<typeof createMiddleware> {
  if (typeof perf?.run !== "function") throw new OptionError("perf", "a perf made by createPerf", perf);
  return createMiddleware({
    name: "langchain-perf",
    wrapModelCall: (request, handler) => perf.run(() => handler(request), wishesOf(request.runtime)),
  });
}

function wishesOf(runtime: unknown): CallWishes | undefined {
  return (runtime as { configurable?: { perf?: CallWishes } } | undefined)?.configurable?.perf;
}
