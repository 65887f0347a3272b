import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { pooledFetch } from "../../src/http.ts";
import { trustedCertificate } from "../../test/http/support/servers.ts";
import type { Measure, Measurements } from "../harness/bench.ts";
import { measured } from "../harness/measured.ts";
import { paired, type Side } from "../harness/paired.ts";
import { shown } from "../harness/report.ts";

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** A question of about 2 KB, as providers are asked. */
const QUESTION = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ messages: [{ role: "user", content: "word ".repeat(400) }] }) };
const CONCURRENCIES = [1, 64, 500];
/** Requests of each side in each round. */
const REQUESTS = 1_000;
const ONE_BY_ONE = 100;
/** Longer than the 4 s for which Node's fetch keeps an idle connection to a server that does not say how long it does. */
const ABSENCE_MS = 5_000;

export const measure: Measure = async () => {
  const { key, cert } = await trustedCertificate();
  const child = fork(fileURLToPath(new URL("http-process.ts", import.meta.url)), [key, cert], { execArgv: [] });
  const [urls] = (await once(child, "message")) as [{ plain: string; tls: string }];
  try {
    return { ...(await warm(urls.plain, "", CONCURRENCIES)), ...(await warm(urls.tls, "_tls", [64])), ...(await cold(urls.tls)), ...(await afterAbsence(urls.tls)) };
  } finally {
    const exited = once(child, "exit");
    child.disconnect();
    await exited;
  }
};

/** Connections are open: what is compared is the way of a request through the pool. */
async function warm(url: string, suffix: string, concurrencies: readonly number[]): Promise<Measurements> {
  const figures: [string, Measurements[string]][] = [];
  for (const concurrency of concurrencies) {
    await using pooled = pooledFetch({ connections: 64 });
    const calls = concurrency === 1 ? ONE_BY_ONE : REQUESTS;
    const sides = { bare: asking(fetch, url, concurrency), wrapped: asking(pooled, url, concurrency) };
    const { ratio, bareUs, wrappedUs, cpuRatio } = await paired({ ...sides, calls, rounds: 15, warmUpRounds: 5 });
    const note = `pooledFetch ${perSecond(wrappedUs.median)}, Node's fetch ${perSecond(bareUs.median)} requests a second; CPU time alone ${shown(cpuRatio.median)} ×; ${pooled.stats().opened} connections`;
    figures.push([`pooled_fetch_ratio${suffix}_${concurrency}`, measured(ratio, note)]);
  }
  return Object.fromEntries(figures);
}

/** A burst of 500 at a server to which no connection is open. Those of Node's fetch cannot be closed, so that a fresh pool without a limit, as it has, stands for it. */
async function cold(url: string): Promise<Measurements> {
  const anew = (connections: number): Side => ({
    async run(calls) {
      await using pooled = pooledFetch({ connections });
      await asking(pooled, url, calls).run(calls);
    },
  });
  const { ratio, bareUs, wrappedUs } = await paired({ bare: anew(Infinity), wrapped: anew(64), calls: 500, rounds: 9, warmUpRounds: 2 });
  const note = `a burst of 500 over TLS to a server not yet asked: 64 connections ${shown(wrappedUs.median / 2)} ms, as many as requests, as Node's fetch opens, ${shown(bareUs.median / 2)} ms`;
  return { pooled_fetch_ratio_burst: measured(ratio, note) };
}

/** One request after a pause in which Node's fetch has closed its connections, and a pool has not. */
async function afterAbsence(url: string): Promise<Measurements> {
  await using pooled = pooledFetch({ keepAliveMs: 60_000 });
  const tookMs = async (ask: Fetch): Promise<number> => {
    const started = performance.now();
    await asking(ask, url, 1).run(1);
    return performance.now() - started;
  };
  const [node, pool]: [number[], number[]] = [[], []];
  for (let round = 0; round < 6; round++) {
    const [first, second] = round % 2 === 0 ? [fetch, pooled] : [pooled, fetch];
    const took = [await tookMs(first), await tookMs(second)];
    // The first round opens the connections.
    if (round > 0) for (const [at, list] of round % 2 === 0 ? [node, pool].entries() : [pool, node].entries()) list.push(took[at] ?? Number.NaN);
    await new Promise((resolve) => setTimeout(resolve, ABSENCE_MS));
  }
  const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
  const note = `the first request after ${ABSENCE_MS / 1_000} s of rest, over TLS on this machine: pooledFetch ${shown(median(pool))} ms, Node's fetch ${shown(median(node))} ms, which opens a connection anew; over a network add its round trips, 2 or 3`;
  return { pooled_fetch_ratio_after_rest: { value: median(pool) / median(node), note } };
}

function asking(ask: Fetch, url: string, concurrency: number): Side {
  return {
    async run(calls) {
      let left = calls;
      const work = async (): Promise<void> => {
        while (left-- > 0) await (await ask(url, QUESTION)).text();
      };
      await Promise.all(Array.from({ length: concurrency }, work));
    },
  };
}

function perSecond(us: number): string {
  return shown(1e6 / us);
}
