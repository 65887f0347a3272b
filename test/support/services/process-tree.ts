import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Stops a process and its children; gives their ids. A parent stops first, so that no child is born behind our back. */
export function stopTree(pid: number): number[] {
  if (!send(pid, "SIGSTOP")) return [];
  return [pid, ...childrenOf(pid).flatMap(stopTree)];
}

/** Whether the process was there to receive it. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Whether the process has ended. One that nobody has waited for yet (an orphan in a container without an init) has ended too. */
export function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  if (process.platform !== "linux") return false;
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return true;
  }
}

function childrenOf(pid: number): number[] {
  if (process.platform === "linux") return numbers(readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1"));
  const pairs = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "latin1" }).split("\n").map(numbers);
  return pairs.filter(([, parent]) => parent === pid).map(([child]) => child as number);
}

function numbers(text: string): number[] {
  return text.split(/\s+/).filter(Boolean).map(Number);
}
