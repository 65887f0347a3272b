import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { RunnableLambda } from "@langchain/core/runnables";
import { awaitAllCallbacks } from "@langchain/core/callbacks/promises";
import { createAgent } from "langchain";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { withPerf } from "langchain-perf";
import { createFakeKit, type FakeKit } from "../support/fakes/kit.ts";
import { allOf } from "./fixtures/ways.ts";

interface PostedRun {
  id: string;
  name: string;
  run_type: string;
  parent_run_id?: string;
  error?: string;
  outputs?: object;
}

/** LangSmith's API as far as its tracer needs it: takes runs, and remembers what it was told of each. */
async function startLangSmith() {
  const runs = new Map<string, PostedRun>();
  const take = (run: PostedRun): void => void runs.set(run.id, { ...runs.get(run.id), ...run });
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      response.setHeader("content-type", "application/json");
      if (request.url?.endsWith("/info")) return response.end(JSON.stringify({ batch_ingest_config: { use_multipart_endpoint: false, size_limit: 100, size_limit_bytes: 1e7 } }));
      const { post = [], patch = [] } = JSON.parse(body) as { post?: PostedRun[]; patch?: PostedRun[] };
      for (const run of [...post, ...patch]) take(run);
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, runs, close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())) };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  return (request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString() || "{}";
}

/** The tree that the runs make, by names and kinds. */
function treeOf(runs: Map<string, PostedRun>, parent?: string): unknown[] {
  return [...runs.values()]
    .filter(({ parent_run_id }) => (parent_run_id ?? undefined) === parent)
    .map(({ id, name, run_type, error, outputs }) => ({ name, run_type, failed: error !== undefined && error !== null, answered: outputs !== undefined, children: treeOf(runs, id) }))
    .toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
}

const question = { messages: [{ role: "user", content: "How is Oslo?" }] };
const PROGRAMS: [name: string, run: (kit: FakeKit, wrap: <T extends object>(target: T) => T) => Promise<unknown>][] = [
  ["a chain", async (kit, wrap) => {
    const chain = wrap(RunnableLambda.from((text: string) => text).pipe(kit.chat()).pipe(({ text }) => text));
    for (const _ of [1, 2]) await chain.invoke("Hello");
    await allOf(chain.stream("Hello"));
  }],
  ["an agent", async (kit, wrap) => {
    const agent = wrap(createAgent({ model: kit.chat(), tools: [kit.tool({ name: "weather" })] }));
    for (const _ of [1, 2]) await agent.invoke(question);
  }],
  ["a failing model", async (kit, wrap) => {
    const model = wrap(kit.chat({ failure: () => new Error("enough") }));
    for (const _ of [1, 2]) await model.invoke("Hello").catch(() => undefined);
  }],
];

describe("with LangSmith's tracer switched on", () => {
  let langSmith: Awaited<ReturnType<typeof startLangSmith>>;
  // LangChain's client is made once and keeps its endpoint.
  beforeAll(async () => {
    langSmith = await startLangSmith();
    const settings = { TRACING: "true", TRACING_V2: "true", ENDPOINT: langSmith.url, API_KEY: "none", PROJECT: "test" };
    for (const [name, value] of Object.entries(settings)) {
      vi.stubEnv(`LANGSMITH_${name}`, value);
      vi.stubEnv(`LANGCHAIN_${name}`, value);
    }
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await langSmith.close();
  });

  async function posted(run: (kit: FakeKit) => Promise<unknown>, count: number | undefined): Promise<unknown[]> {
    langSmith.runs.clear();
    await run(createFakeKit());
    await awaitAllCallbacks();
    const whole = (): boolean => [...langSmith.runs.values()].every(({ outputs, error }) => outputs || error) && (count === undefined ? langSmith.runs.size > 0 : langSmith.runs.size >= count);
    await vi.waitUntil(whole, { timeout: 5_000 });
    return treeOf(langSmith.runs);
  }

  it.each(PROGRAMS)("%s posts the runs that it posts bare", async (_name, run) => {
    const bare = await posted((kit) => run(kit, (target) => target), undefined);
    const count = langSmith.runs.size;
    expect(bare.length).toBeGreaterThan(0);
    const wrapped = await posted((kit) => run(kit, (target) => withPerf(target)), count);
    expect(wrapped).toEqual(bare);
  });
});
