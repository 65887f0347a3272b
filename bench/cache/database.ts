import { createPerf } from "langchain-perf";
import pg from "pg";
import { seededRandom } from "../../src/testing/random.ts";
import { startPostgres, startRedis } from "../../test/support/services.ts";
import { webTrace } from "../data/web-traces.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";

const DOCUMENTS = 4_000;
const WORDS_A_DOCUMENT = 120;
const VOCABULARY = 2_000;
/** The trace's first requests; of the search itself every fourth of them is enough. */
const REQUESTS = 20_000;
const EVERY = 4;

const SEARCH = `
  SELECT id, body, ts_rank(words, query) AS rank FROM documents, to_tsquery('simple', $1) AS query
  WHERE words @@ query ORDER BY rank DESC, id LIMIT 4`;

export const measure: Measure = async () => {
  await using server = await startPostgres();
  await using redis = await startRedis();
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await fill(client);
  await using perf = createPerf({ cache: { redis: redis.url, memory: false } });
  const search = async (words: string): Promise<unknown[]> => (await client.query({ name: "search", text: SEARCH, values: [words] })).rows;
  let made = 0;
  const retrieve = perf.cached("search", (words: string) => ((made += 1), search(words)));
  const tookBare: number[] = [];
  const tookCached: number[] = [];
  for (const [at, key] of webTrace("web12").slice(0, REQUESTS).entries()) {
    const words = wordsOf(key);
    if (at % EVERY === 0) tookBare.push(await timed(() => search(words)));
    tookCached.push(await timed(() => retrieve(words)));
  }
  await client.end();
  const [bareMs, cachedMs] = [mean(tookBare), mean(tookCached)];
  return {
    db_query_ratio: { value: made / REQUESTS, note: `${shown(made)} queries for the first ${shown(REQUESTS)} requests of web12` },
    db_response_ratio: { value: cachedMs / bareMs, note: `mean ${shown(cachedMs)} ms, the search itself ${shown(bareMs)} ms` },
  };
};

async function timed(work: () => Promise<unknown[]>): Promise<number> {
  const started = performance.now();
  const rows = await work();
  const tookMs = performance.now() - started;
  if (rows.length === 0) throw new Error("Nothing was found.");
  return tookMs;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Two words, by the key alone. */
function wordsOf(key: string): string {
  const random = seededRandom(Number(key));
  return `${wordIn(random)} | ${wordIn(random)}`;
}

/** As in a language, a few words are in most texts: Zipf's law, roughly. */
function wordIn(random: () => number): string {
  return `w${Math.floor(VOCABULARY ** random())}`;
}

async function fill(client: pg.Client): Promise<void> {
  await client.query("CREATE TABLE documents (id integer PRIMARY KEY, body text NOT NULL, words tsvector NOT NULL)");
  const random = seededRandom(1);
  const bodies = Array.from({ length: DOCUMENTS }, () => Array.from({ length: WORDS_A_DOCUMENT }, () => wordIn(random)).join(" "));
  await client.query("INSERT INTO documents SELECT id, body, to_tsvector('simple', body) FROM unnest($1::text[]) WITH ORDINALITY AS given (body, id)", [bodies]);
  await client.query("CREATE INDEX ON documents USING gin (words)");
  await client.query("VACUUM ANALYZE");
}
