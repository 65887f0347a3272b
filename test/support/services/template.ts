import { execFile } from "node:child_process";
import { chownSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Account } from "./account.ts";
import { lastingFolder, withLock } from "./lock.ts";

const run = promisify(execFile);

export interface Template {
  /** Of the service and its version. */
  readonly name: string;
  readonly account: Account | undefined;
  /** The command that initialises an empty folder. */
  command(folder: string): readonly [program: string, ...args: string[]];
}

/**
 * Copies an initialised data folder to `target`. Initialising takes seconds, so that it happens once per machine, version and user; what is kept is whole, because it
 * gets its name last.
 */
export async function copyOfTemplate(template: Template, target: string): Promise<void> {
  const { name, account } = template;
  const kept = join(lastingFolder(), `${name}-${account?.uid ?? "own"}`);
  await withLock(name, async () => {
    if (!existsSync(kept)) await initialise(template, kept);
  });
  await run("cp", ["-a", kept, target]);
}

async function initialise({ command, account, name }: Template, kept: string): Promise<void> {
  const unfinished = `${kept}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  if (account) chownSync(unfinished, account.uid, account.gid);
  const [program, ...args] = command(unfinished);
  try {
    await run(program, args, { ...account, cwd: unfinished, maxBuffer: 1 << 26 });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${name} could not initialise a data folder:\n${`${stdout}${stderr}`.trim().split("\n").slice(-15).join("\n")}`, { cause: error });
  }
  renameSync(unfinished, kept);
}
