import { spawn } from "node:child_process";
import type { Writable } from "node:stream";

/**
 * Reads lines of process ids, of which the last one counts, until its input ends: then it kills those processes and removes the folder. The kernel closes a pipe
 * however its writer dies, so that neither a crash nor SIGKILL of the writer leaves a server behind.
 */
const SCRIPT = `
while read -r line; do pids=$line; done
if [ -n "$pids" ]; then kill -KILL $pids 2>/dev/null; fi
rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
`;

/** Ends processes, and removes their folder, when this process ends in whatever way. */
export class Guard {
  readonly #input: Writable;

  constructor(folder: string) {
    // Detached, because Ctrl-C reaches every process of the terminal's group.
    const shell = spawn("/bin/sh", ["-c", SCRIPT, "guard", folder], { cwd: "/", stdio: ["pipe", "ignore", "ignore"], detached: true });
    shell.unref();
    this.#input = shell.stdin;
    if ("unref" in shell.stdin && typeof shell.stdin.unref === "function") shell.stdin.unref();
    this.#input.on("error", () => {});
  }

  /** From now on these, and no others, are to end with this process. */
  watch(pids: readonly number[]): void {
    this.#input.write(`${pids.join(" ")}\n`);
  }

  /** Does now what it would do at the end. */
  release(): void {
    this.#input.end();
  }
}
