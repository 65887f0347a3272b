/** Finds a header of a response by its name in lower case. */
export type HeaderLookup = (name: string) => string | undefined;

/** What is known of the HTTP response behind an error. */
export interface ResponseHead {
  readonly status: number;
  readonly header: HeaderLookup;
}

/** The response that an SDK's error (`status`, `headers`) or an axios error (`response.status`, `response.headers`) was made of. */
export function headOfError(error: unknown): ResponseHead | undefined {
  const { status, headers, response } = (error ?? {}) as { status?: unknown; headers?: unknown; response?: { status?: unknown; headers?: unknown } };
  const code = status ?? response?.status;
  return typeof code === "number" ? { status: code, header: lookup(headers ?? response?.headers) } : undefined;
}

/** When to come back, as `retry-after-ms` or `retry-after` say (RFC 9110, 10.2.3: seconds or a date), milliseconds from `now`, the wall clock. */
export function retryAfterMs(header: HeaderLookup, now: number): number | undefined {
  const exact = Number.parseFloat(header("retry-after-ms") ?? "");
  if (Number.isFinite(exact)) return exact;
  const text = header("retry-after") ?? "";
  const seconds = Number(text);
  if (text !== "" && Number.isFinite(seconds)) return seconds * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : date - now;
}

function lookup(headers: unknown): HeaderLookup {
  const { get } = (headers ?? {}) as { get?: unknown };
  const find = typeof get === "function" ? (name: string): unknown => get.call(headers, name) : (name: string) => ((headers ?? {}) as Record<string, unknown>)[name];
  return (name) => {
    const value = find(name);
    return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  };
}
