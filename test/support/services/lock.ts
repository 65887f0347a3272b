import { mkdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";

/** What outlives one run: locks and initialised folders. Made for this user and nobody else to write. */
export function lastingFolder(): string {
  const folder = join(tmpdir(), `langchain-perf-services-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  return folder;
}

/** Runs `action` while no other process of this user runs one under the same name. SQLite's lock, unlike a lock file, ends with its process. */
export async function withLock<T>(name: string, action: () => Promise<T>): Promise<T> {
  const lock = new DatabaseSync(join(lastingFolder(), `${name}.lock`), { timeout: 0 });
  try {
    while (!isTaken(lock)) await delay(20);
    return await action();
  } finally {
    lock.close();
  }
}

function isTaken(lock: DatabaseSync): boolean {
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    // SQLITE_BUSY: somebody else has it.
    if ((error as { errcode?: number }).errcode === 5) return false;
    throw error;
  }
}
