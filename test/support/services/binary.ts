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
  return locate(program) ?? (await withLock("apt", async () => locate(program) ?? (await install(program))));
}

function locate({ names, folders = [] }: Program): string | undefined {
  // The newest version first.
  const further = globSync([...folders]).sort((one, other) => other.localeCompare(one, "en", { numeric: true }));
  const places = [...(process.env.PATH ?? "").split(delimiter).filter(Boolean), "/usr/sbin", ...further];
  return names.flatMap((name) => places.map((place) => join(place, name))).find(isExecutable);
}

async function install(program: Program): Promise<string> {
  const { debian, names, variable } = program;
  const advice = `install ${debian}${variable ? ` or set ${variable}` : ""}`;
  if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) throw new Error(`${names[0]} is not on the PATH: ${advice}.`);
  console.error(`Installing ${debian} with apt, once.`);
  // RUNLEVEL keeps the package from starting a service of its own.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  try {
    await run("apt-get", ["update"], { env });
    await run("apt-get", ["install", "-y", "--no-install-recommends", debian], { env, maxBuffer: 1 << 26 });
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim().split("\n").at(-1) ?? String(error);
    throw new Error(`apt could not install ${debian} (${reason}): ${advice}.`, { cause: error });
  }
  const path = locate(program);
  if (!path) throw new Error(`${debian} is installed, but ${names[0]} is not on the PATH.`);
  return path;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
