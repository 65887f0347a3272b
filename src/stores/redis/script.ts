import { hash } from "node:crypto";

/** A Lua script. Redis runs it at once and alone, so each one does a bounded amount of work. */
export interface RedisScript {
  readonly text: string;
  /** SHA-1 of the text, by which Redis knows it. */
  readonly digest: string;
}

export function redisScript(text: string): RedisScript {
  return { text, digest: hash("sha1", text) };
}
