/**
 * Compiles the programs of test/types/programs against the built package, once per project of test/types/projects, as a user's
 * compiler sees it: in a folder of its own that holds the package as it is published and the dependencies that the project names.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const NAME = "langchain-perf";
const root = resolve(import.meta.dirname, "..");
const types = join(root, "test/types");

function install(project: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${NAME}-types-`));
  cpSync(join(types, "projects", project), folder, { recursive: true });
  cpSync(join(types, "programs"), join(folder, "programs"), { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) {
    const target = join(folder, "node_modules", name);
    mkdirSync(dirname(target), { recursive: true });
    if (name !== NAME) symlinkSync(join(root, "node_modules", name), target, "junction");
  }
  // A copy, not a link: from a link the compiler would find this project's own dependencies, present or not.
  for (const part of ["package.json", "dist"]) cpSync(join(root, part), join(folder, "node_modules", NAME, part), { recursive: true });
  const { dependencies: own } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  for (const name of Object.keys(own)) {
    const target = join(folder, "node_modules", NAME, "node_modules", name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(root, "node_modules", name), target, "junction");
  }
  return folder;
}

async function compile(project: string): Promise<boolean> {
  const folder = install(project);
  try {
    await promisify(execFile)(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder], { cwd: folder });
    console.log(`types, ${project}: fine`);
    return true;
  } catch (error) {
    console.error(`types, ${project}: wrong\n${(error as { stdout?: string }).stdout ?? String(error)}`);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const results = await Promise.all(readdirSync(join(types, "projects")).map(compile));
process.exitCode = results.every(Boolean) ? 0 : 1;
