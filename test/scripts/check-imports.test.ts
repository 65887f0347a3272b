import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { forbiddenImports } from "../../scripts/check-imports.ts";

const folders: string[] = [];

/** What is said about one file of a source tree that holds nothing else. */
function check(file: string, source: string): string[] {
  const root = mkdtempSync(join(tmpdir(), "check-imports-"));
  folders.push(root);
  mkdirSync(join(root, dirname(file)), { recursive: true });
  writeFileSync(join(root, file), source);
  return forbiddenImports(root);
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe("the direction of imports", () => {
  it("holds in src", () => {
    expect(forbiddenImports(join(import.meta.dirname, "../../src"))).toEqual([]);
  });

  it.each([
    ["core/engine.ts", 'import { Runnable } from "@langchain/core/runnables";'],
    ["core/engine.ts", 'import type { Store } from "../stores/memory.ts";'],
    ["core/engine.ts", 'import { LRUCache } from "lru-cache";'],
    ["layers/coalesce.ts", 'import { MemoryCache } from "./cache/memory.ts";'],
    ["layers/cache/memory.ts", 'export * from "../coalesce.ts";'],
    ["layers/cache/memory.ts", 'import { memoryStore } from "../../stores/memory.ts";'],
    ["layers/cache/memory.ts", 'import { memoryStore, type MemoryStore } from "../../stores/memory.ts";'],
    ["layers/cache/memory.ts", 'import { trace } from "@opentelemetry/api";'],
    ["layers/cache/memory.ts", 'import type { PerfOptions } from "../../options.ts";'],
    ["layers/trace/layer.ts", 'const { AIMessage } = await import("@langchain/core/messages");'],
    ["stores/memory.ts", 'import type { Layer } from "../layers/coalesce.ts";'],
    ["limits/local.ts", 'import { scope } from "../langchain/scope.ts";'],
    ["langchain/proxy.ts", 'import { createAgent } from "langchain";'],
    ["langchain/proxy.ts", 'import { createPerf } from "../perf.ts";'],
    ["telemetry/cost.ts", 'type Perf = import("../perf.ts").Perf;'],
    ["testing/server.ts", 'import { createPerf } from "../index.ts";'],
    ["cli/run.ts", 'import { createSimulator } from "../testing/simulator.ts";'],
    ["perf.ts", 'import { Runnable } from "@langchain/core/runnables";'],
    ["register.ts", 'import { createAgent } from "langchain";'],
    ["index.ts", 'export { version } from "../package.json";'],
  ])("%s must not say %s", (file, source) => {
    const [said, ...more] = check(file, `\n${source}\n`);
    expect(said).toMatch(new RegExp(`^${file}:2: must not import .*"; its room may import `));
    expect(more).toEqual([]);
  });

  it.each([
    ["core/engine.ts", 'import { linkAbort } from "./abort.ts"; import { hash } from "node:crypto";'],
    ["layers/cache/memory.ts", 'import type { MemoryStore } from "../../stores/memory.ts"; import { key } from "./key.ts"; import { collect } from "../../core/parts.ts";'],
    ["layers/cache/memory.ts", 'import { type MemoryStore } from "../../stores/memory.ts"; export type { MemoryEntry } from "../../stores/memory.ts";'],
    ["layers/trace/layer.ts", 'import { context } from "@opentelemetry/api";'],
    ["testing/formats/chat.ts", 'import { sse } from "../reply.ts";'],
    ["langchain/kinds/chat.ts", 'import { AIMessage } from "@langchain/core/messages"; import { usage } from "../models.ts";'],
    ["cli/simulate.ts", 'import { createSimulator } from "langchain-perf/testing"; import { run } from "./run.ts";'],
    ["perf.ts", 'import { wrap } from "./langchain/proxy.ts"; import type { Tracer } from "@opentelemetry/api";'],
  ])("%s may say %s", (file, source) => {
    expect(check(file, source)).toEqual([]);
  });

  it("knows no folder without a rule", () => {
    expect(check("helpers/text.ts", "export {};")).toEqual(["helpers/text.ts: this folder has no rule yet; give it one in scripts/check-imports.ts"]);
  });
});
