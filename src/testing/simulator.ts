import type { AddressInfo } from "node:net";
import type { FaultRule } from "./fault-rules.ts";
import type { RequestFilter, SimulatedRequest } from "./log.ts";
import { resolveOptions, type SimulatorOptions } from "./options.ts";
import { Provider } from "./provider.ts";
import { createProviderServer } from "./server.ts";

/** A running simulated provider. */
export interface Simulator {
  /** E.g. `http://127.0.0.1:4010`. */
  readonly url: string;
  /** For OpenAI clients: `new ChatOpenAI({ configuration: { baseURL } })`. */
  readonly baseURL: string;
  /** For Anthropic clients. */
  readonly anthropicBaseURL: string;
  /** The newest requests, oldest first; at most `logSize`. */
  readonly requests: readonly SimulatedRequest[];
  /** Requests that wait for a place or are being worked on. */
  readonly load: { active: number; waiting: number };
  /** How many requests came in; with a filter, how many of those in the log match. */
  count(filter?: RequestFilter): number;
  /** Adds a fault, e.g. `"status=503,times=2"`; the function returned takes it away. */
  fault(rule: FaultRule | string): () => void;
  /** Back to the start: log, faults, limits, prompt cache and random numbers. */
  reset(): void;
  /** Breaks all connections and frees the port. Until then the server keeps the process alive. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a simulated OpenAI- and Anthropic-compatible provider in this process; no model, no network, no key.
 * Every model name works. Two have a meaning: `chunks-<n>` answers in exactly n pieces, and what stands behind a `+`
 * is a fault, e.g. `gpt-4o-mini+stall=5` (so does the header `x-simulate-fault`, without the plus; see `FaultKind`).
 * Throws an `OptionError` for bad options.
 */
export async function createSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const resolved = resolveOptions(options);
  const provider = new Provider(resolved);
  const server = createProviderServer(provider);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(resolved.port, resolved.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://${resolved.host.includes(":") ? `[${resolved.host}]` : resolved.host}:${port}`;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url,
    baseURL: `${url}/v1`,
    anthropicBaseURL: url,
    get requests() {
      return provider.log.entries;
    },
    get load() {
      return provider.load;
    },
    count: (filter) => provider.log.count(filter),
    fault(rule) {
      const id = provider.faults.add(rule);
      return () => void provider.faults.remove(id);
    },
    reset: () => provider.reset(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
