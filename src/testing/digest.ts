import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Headers that change what a provider answers; credentials and transport headers do not. */
const MEANINGFUL_HEADERS = ["openai-organization", "openai-project", "openai-beta", "anthropic-version", "anthropic-beta"];

/**
 * Twelve hex digits of SHA-256 over the whole request, `stream` and `stream_options` left out.
 * Only the order of the top-level keys is levelled: inside a JSON schema order has a meaning.
 */
export function digestRequest(target: string, headers: IncomingHttpHeaders, body: Record<string, unknown>): string {
  const hash = createHash("sha256").update(target);
  for (const name of MEANINGFUL_HEADERS) if (headers[name] !== undefined) hash.update(`\n${name}: ${String(headers[name])}`);
  for (const key of Object.keys(body).sort()) {
    if (key !== "stream" && key !== "stream_options") hash.update(`\n${JSON.stringify(key)}:${JSON.stringify(body[key])}`);
  }
  return hash.digest("hex").slice(0, 12);
}
