import { setImmediate } from "node:timers/promises";
import type { PooledFetch } from "langchain-perf/http";

export const post = { method: "POST", body: "héllo" } as const;
export const ask = async (fetch: PooledFetch, url: string, init: RequestInit = post): Promise<string> => (await fetch(url, init)).text();
/** One call after the other. undici has a connection free again a turn after the answer has ended. */
export const asks = async (fetch: PooledFetch, url: string, calls: number): Promise<string[]> => {
  const answers: string[] = [];
  for (let call = 0; call < calls; call++) {
    answers.push(await ask(fetch, url));
    await setImmediate();
  }
  return answers;
};
export const many = <T>(count: number, make: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: count }, make));
