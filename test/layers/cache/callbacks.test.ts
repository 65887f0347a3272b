import { createPerf, withPerf, type CacheOptions } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BaseRetriever } from "@langchain/core/retrievers";
import { Document } from "@langchain/core/documents";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { Numbered } from "../support/replies.ts";

let warnings: string[] = [];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, "emitWarning").mockImplementation((warning) => void warnings.push(String(warning)));
});
afterEach(() => void vi.restoreAllMocks());

/** Two users ask the same, twice: what the model was asked. */
async function asked(cache: unknown): Promise<number> {
  const model = new Numbered();
  const fast = withPerf(model, createPerf({ cache: cache as CacheOptions, coalesce: true }));
  for (const user of ["alice", "bob", "alice", "bob"]) await fast.invoke("my balance?", { configurable: { user } });
  await settle();
  return model.seen.length;
}

describe("a tenant function", () => {
  it.each<[string, unknown]>([
    ["a promise", async () => "someone"],
    ["a promise that fails", async () => Promise.reject(new Error("no"))],
    ["an object", () => ({ id: 1 })],
    ["a number", () => 42],
    ["an empty text", () => ""],
    ["null", () => null],
  ])("that gives %s lets nobody share, and says so once", async (_name, tenant) => {
    expect(await asked({ tenant })).toBe(4);
    expect(warnings).toEqual([expect.stringContaining("cache.tenant")]);
  });

  it("that gives undefined lets nobody share and says nothing", async () => {
    expect(await asked({ tenant: () => undefined })).toBe(4);
    expect(warnings).toEqual([]);
  });
});

describe("a condition", () => {
  it.each<[string, unknown]>([["a promise of a no", async () => false], ["a promise that fails", async () => Promise.reject(new Error("no"))], ["nothing", () => undefined], ["a text", () => "yes"]])("that gives %s is a no, and says so once", async (_name, when) => {
    expect(await asked({ when })).toBe(4);
    expect(await asked({ kinds: { chat: { when } } })).toBe(4);
    expect(warnings).toEqual([expect.stringContaining("cache.when"), expect.stringContaining("cache.when")]);
  });

  it("that gives true is a yes", async () => {
    expect(await asked({ when: () => true, kinds: { chat: { when: () => true } } })).toBe(1);
  });
});

describe("a key function", () => {
  it.each<[string, () => unknown]>([["undefined", () => undefined], ["a promise", async () => "same"]])("that gives %s lets its calls share nothing", async (_name, key) => {
    const { perf, facts } = listening();
    const lookup = perf.cached("lookup", async (user: { name: string }) => user.name, { key });
    expect([await lookup({ name: "alice" }), await lookup({ name: "bob" })]).toEqual(["alice", "bob"]);
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["bypass", "bypass"]);
    expect(await asked({ kinds: { chat: { key } } })).toBe(4);
  });
});

describe("a waitUntil", () => {
  it.each<[string, () => void]>([
    ["that throws", () => { throw new Error("outside a request"); }],
    ["that rejects", async () => { throw new Error("outside a request"); }],
  ])("%s fails no call, and is warned of once", async (_name, waitUntil) => {
    const perf = createPerf({ cache: { ttlMs: 60_000, eagerRefresh: 0 }, coalesce: true, waitUntil });
    let runs = 0;
    const count = perf.cached("count", async (_n: number) => (runs += 1));
    await count(1);
    await count(2);
    expect([await count(1), await count(2)]).toEqual([1, 2]);
    await perf.flush();
    expect(runs).toBe(4);
    expect(warnings).toEqual([expect.stringContaining("waitUntil")]);
  });
});

/** A retriever that says where it looks. */
class Shelf extends BaseRetriever {
  lc_namespace = ["test"];
  readonly shelf: string;
  constructor(shelf: string) {
    super();
    this.shelf = shelf;
  }
  override async _getRelevantDocuments(): Promise<Document[]> {
    return [new Document({ pageContent: this.shelf })];
  }
}

describe("an id", () => {
  it("of embeddings leaves model and parameters in the key", async () => {
    const perf = createPerf({ cache: { kinds: { embeddings: { id: "mine" } } } });
    const [small, large] = [4, 8].map((dimensions) => withPerf(new FakeEmbeddings({ model: `of ${dimensions}`, dimensions }), perf)) as [FakeEmbeddings, FakeEmbeddings];
    expect([(await small.embedQuery("a")).length, (await large.embedQuery("a")).length]).toEqual([4, 8]);
  });

  it("may be a function, which tells objects of one class apart and takes equal ones for equal", async () => {
    const { perf, facts } = listening({ cache: { kinds: { retriever: { id: (retriever) => (retriever as Shelf).shelf || undefined } } } });
    const first = async (shelf: string) => (await withPerf(new Shelf(shelf), perf).invoke("q"))[0]?.pageContent;
    expect([await first("secret"), await first("public"), await first("secret"), await first(""), await first("")]).toEqual(["secret", "public", "secret", "", ""]);
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "miss", "hit", "miss", "miss"]);
  });

  it("is refused when it is neither text nor function", () => {
    expect(() => createPerf({ cache: { kinds: { retriever: { id: 1 as never } } } })).toThrow(expect.objectContaining({ option: "cache.kinds.retriever.id" }) as Error);
  });
});
