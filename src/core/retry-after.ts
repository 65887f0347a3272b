/** Finds a header of a response by its name in lower case. */
export type HeaderLookup = (name: string) => string | undefined;

/** What is known of the HTTP response behind an error. */
export interface ResponseHead {
  readonly status: number;
  readonly header: HeaderLookup;
}

/** The HTTP status in an error, by the names that providers' clients have for it. */
export function statusOf(error: unknown): number | undefined {
  const { status, statusCode, status_code, response, $metadata } = (error ?? {}) as Record<string, unknown>;
  const inside = (response ?? {}) as { status?: unknown };
  const aws = ($metadata ?? {}) as { httpStatusCode?: unknown };
  const found = status ?? statusCode ?? status_code ?? inside.status ?? aws.httpStatusCode;
  return typeof found === "number" ? found : undefined;
}

/** The response that an SDK's error (`status`, `headers`) or an axios error (`response.status`, `response.headers`) was made of. */
export function headOfError(error: unknown): ResponseHead | undefined {
  const { headers, response } = (error ?? {}) as { headers?: unknown; response?: { headers?: unknown } };
  const status = statusOf(error);
  return status === undefined ? undefined : { status, header: lookup(headers ?? response?.headers) };
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
