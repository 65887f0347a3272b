import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../support/services.ts";
import { hasEnded } from "../support/services/process-tree.ts";

const HOLDER = fileURLToPath(new URL("fixtures/holder.ts", import.meta.url));

describe("the servers of a process that ends", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(realpathSync(tmpdir()), "langchain-perf-orphans-"));
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.each(["SIGKILL", "SIGINT"] as const)("end with it, frozen ones too, and their folders are gone: %s", async (signal) => {
    const holder = hold("all");
    const pids = await pidsOf(holder);
    expect(pids).toHaveLength(6);
    expect(pids.filter(hasEnded)).toEqual([]);
    expect(foldersOfServers(folder)).toHaveLength(6);
    holder.kill(signal);
    await once(holder, "exit");
    await expectNothingLeft(pids);
  });

  it("neither keep it alive nor outlive it when it has nothing more to do", async () => {
    const holder = hold("one");
    const exit = once(holder, "exit");
    const pids = await pidsOf(holder);
    expect(await exit).toEqual([0, null]);
    expect(pids).toHaveLength(1);
    await expectNothingLeft(pids);
  });

  function hold(what: "all" | "one"): ChildProcess {
    return spawn(process.execPath, [HOLDER, what], { env: { ...process.env, TMPDIR: folder }, stdio: ["ignore", "pipe", "inherit"] });
  }

  async function expectNothingLeft(pids: readonly number[]): Promise<void> {
    await eventually(() => pids.every(hasEnded));
    await eventually(() => foldersOfServers(folder).length === 0);
  }
});

async function pidsOf(holder: ChildProcess): Promise<number[]> {
  if (!holder.stdout) throw new Error("The holder has no output.");
  for await (const line of createInterface(holder.stdout)) return JSON.parse(line) as number[];
  throw new Error("The holder ended without a word.");
}

function foldersOfServers(folder: string): string[] {
  return readdirSync(folder).filter((name) => /^langchain-perf-(redis|memcached|postgres|mariadb)-/.test(name));
}
