import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Address of a SQLite tier whose file is gone with the test. */
export function temporarySqlite(): { readonly address: `sqlite:${string}`; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "langchain-perf-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { address: `sqlite:${join(folder, "cache.db")}`, folder };
}
