import { type ChildProcess, spawn } from "node:child_process";
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Account } from "./account.ts";
import { eventually } from "./eventually.ts";
import { Guard } from "./guard.ts";
import { hasEnded, send, stopTree } from "./process-tree.ts";

/** A real server, on a port of 127.0.0.1, that ends with this process at the latest. */
export interface Server extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Of the process that runs now or ran last. */
  readonly pid: number;
  /** SIGKILL; resolves when the process, and every child of it, is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open, and nobody answers. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** Starts it again after `kill`: same port, same folder, hence with what the server itself has persisted. Resolves when it answers. */
  start(): Promise<void>;
  /** Ends it for good and removes its folder. */
  stop(): Promise<void>;
}

/** How to run a server. */
export interface Launch {
  /** For messages, e.g. `redis`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly port: number;
  readonly url: string;
  /** A folder of `makeFolder`; the server takes it over. */
  readonly folder: string;
  /** Whom to run it as, when not as ourselves. */
  readonly account?: Account | undefined;
  /** How it is ended where nothing but the ending matters. @default "SIGKILL" */
  readonly stopSignal?: NodeJS.Signals;
  /** Asks the server something over its own protocol; rejects until it is answered. */
  answers(): Promise<unknown>;
}

const START_TIMEOUT_MS = 30_000;
const END_TIMEOUT_MS = 10_000;
const LOG_LINES = 15;

/** A new temporary folder that belongs to `account`. */
export function makeFolder(name: string, account?: Account): string {
  const folder = mkdtempSync(join(tmpdir(), `langchain-perf-${name}-`));
  if (account) chownSync(folder, account.uid, account.gid);
  return folder;
}

/** Runs a server and resolves when it answers. */
export async function startServer(launch: Launch): Promise<Server> {
  const server = new OwnServer(launch);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

/** All of them, or none. */
export async function startAll(starts: readonly (() => Promise<Server>)[]): Promise<Server[]> {
  const started = await Promise.allSettled(starts.map((start) => start()));
  const servers = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = started.find((result) => result.status === "rejected");
  if (!failed) return servers;
  await stopAll(servers);
  throw failed.reason;
}

export async function stopAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

class OwnServer implements Server {
  readonly port: number;
  readonly url: string;
  readonly #launch: Launch;
  readonly #guard: Guard;
  #child: ChildProcess | undefined;
  #pid = 0;
  #frozen: readonly number[] = [];

  constructor(launch: Launch) {
    this.#launch = launch;
    this.#guard = new Guard(launch.folder);
    this.port = launch.port;
    this.url = launch.url;
  }

  get pid(): number {
    return this.#pid;
  }

  async start(): Promise<void> {
    if (this.#child) throw new Error(`${this.#launch.name} on port ${this.port} runs already.`);
    let failure: Error | undefined;
    this.#spawn((error) => (failure ??= error));
    await eventually(
      async () => {
        if (!failure) await this.#launch.answers();
        return true;
      },
      { timeoutMs: START_TIMEOUT_MS, intervalMs: 5 },
    ).catch((error: Error) => (failure ??= error));
    if (failure) throw new Error(`${this.#launch.name} did not start: ${failure.message}\n${this.#lastLog()}`);
  }

  freeze(): void {
    this.#frozen = stopTree(this.#running());
    this.#guard.watch(this.#frozen);
  }

  thaw(): void {
    // Children first: whoever is woken by its parent is awake.
    for (const pid of this.#frozen.toReversed()) send(pid, "SIGCONT");
    this.#frozen = [];
    this.#guard.watch([this.#running()]);
  }

  async kill(): Promise<void> {
    if (this.#child) await this.#end(stopTree(this.#running()), "SIGKILL");
  }

  async stop(): Promise<void> {
    const { stopSignal, folder } = this.#launch;
    // Who does not listen is killed, like all others.
    if (this.#child && stopSignal && this.#frozen.length === 0) await this.#end([this.#running()], stopSignal).catch(() => {});
    await this.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    this.#guard.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #spawn(onFailure: (error: Error) => void): void {
    const { command, args, account, folder } = this.#launch;
    const log = openSync(join(folder, "log"), "a");
    const child = spawn(command, args, { cwd: folder, stdio: ["ignore", log, log], detached: true, ...account });
    closeSync(log);
    child.unref();
    child.on("error", onFailure);
    if (child.pid === undefined) return;
    this.#child = child;
    this.#pid = child.pid;
    this.#guard.watch([child.pid]);
    child.on("exit", (code, signal) => {
      this.#child = undefined;
      this.#frozen = [];
      this.#guard.watch([]);
      onFailure(new Error(`it ended with ${signal ?? `exit code ${code}`}`));
    });
  }

  async #end(pids: readonly number[], signal: NodeJS.Signals): Promise<void> {
    for (const pid of pids) send(pid, signal);
    await eventually(() => !this.#child && pids.every(hasEnded), { timeoutMs: END_TIMEOUT_MS, intervalMs: 2 });
  }

  #running(): number {
    if (!this.#child) throw new Error(`${this.#launch.name} on port ${this.port} does not run.`);
    return this.#pid;
  }

  #lastLog(): string {
    const lines = readFileSync(join(this.#launch.folder, "log"), "utf8").trimEnd().split("\n");
    return lines.slice(-LOG_LINES).join("\n");
  }
}
