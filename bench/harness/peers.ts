import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { withLock } from "../../test/support/services/lock.ts";
import { importHere } from "../peers/import-here.ts";

const FOLDER = fileURLToPath(new URL("../peers/", import.meta.url));

/**
 * A package that a bench compares with, e.g. `bentocache` or `bentocache/drivers/redis`, in the version of `bench/peers/package.json`. These are installed when the first
 * bench asks. `T` is what the caller uses of it: its own types are there only once it is installed.
 */
export async function importPeerPackage<T>(name: string): Promise<T> {
  if (!isInstalled()) await withLock("bench-peers", async () => isInstalled() || (await install()));
  return (await importHere(name)) as T;
}

/** npm writes its own lock file last: an interrupted installation, and one of an older lock, do not count. */
function isInstalled(): boolean {
  const installed = statSync(`${FOLDER}node_modules/.package-lock.json`, { throwIfNoEntry: false });
  return !!installed && installed.mtimeMs >= statSync(`${FOLDER}package-lock.json`).mtimeMs;
}

async function install(): Promise<void> {
  console.error("Installing what the benches compare with into bench/peers, once.");
  try {
    await promisify(execFile)("npm", ["ci", "--prefix", FOLDER, "--no-audit", "--no-fund"], { cwd: FOLDER, maxBuffer: 1 << 26 });
  } catch (error) {
    const words = (error as { stderr?: string }).stderr?.trim() ?? "";
    throw new Error(`"npm ci" failed in bench/peers: ${words || String(error)}`, { cause: error });
  }
}
