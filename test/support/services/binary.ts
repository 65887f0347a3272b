import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, globSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { withLock } from "./lock.ts";

/** A program of a server, and how to come by it. */
export interface Program {
  /** Names of the program, the preferred one first. */
  readonly names: readonly string[];
  /** Debian's package. */
  readonly debian: string;
  /** Patterns of folders, besides the PATH, in which Debian keeps it. */
  readonly folders?: readonly string[];
  /** What a machine without the program can set instead, where there is such a thing. */
  readonly variable?: string;
}

const run = promisify(execFile);

/** The path of a program. Installs it where that can be done unasked: on Debian, as root. */
export async function programPath(program: Program): Promise<string> {
  const present = locate(program);
  if (present) return present;
  const { debian, names, variable } = program;
  const advice = `install ${debian}${variable ? ` or set ${variable}` : ""}`;
  if (!canInstall()) throw new Error(`${names[0]} is not on the PATH: ${advice}.`);
  await installMissing([program]).catch((cause: unknown) => {
    throw new Error(`${(cause as Error).message}: ${advice}.`, { cause });
  });
  const path = locate(program);
  if (!path) throw new Error(`${debian} is installed, but ${names[0]} is not on the PATH.`);
  return path;
}

/** Installs those of some programs that are not there, in one go, where that can be done unasked; one process at a time. */
export async function installMissing(programs: readonly Program[]): Promise<void> {
  const missing = (): Program[] => programs.filter((program) => !locate(program));
  if (missing().length === 0 || !canInstall()) return;
  await withLock("apt", () => install([...new Set(missing().map(({ debian }) => debian))]));
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync("/etc/debian_version");
}

function locate({ names, folders = [] }: Program): string | undefined {
  // The newest version first.
  const further = globSync([...folders]).sort((one, other) => other.localeCompare(one, "en", { numeric: true }));
  const places = [...(process.env.PATH ?? "").split(delimiter).filter(Boolean), "/usr/sbin", ...further];
  return names.flatMap((name) => places.map((place) => join(place, name))).find(isExecutable);
}

async function install(packages: readonly string[]): Promise<void> {
  if (packages.length === 0) return;
  console.error(`Installing ${packages.join(", ")} with apt, once.`);
  // RUNLEVEL keeps the packages from starting services of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  try {
    await run("apt-get", ["update"], { env });
    await run("apt-get", ["install", "-y", "--no-install-recommends", ...packages], { env, maxBuffer: 1 << 26 });
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim().split("\n").at(-1) ?? String(error);
    throw new Error(`apt could not install ${packages.join(", ")} (${reason})`, { cause: error });
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
