import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const readme = readFileSync(new URL("README.md", ROOT), "utf8");
const snippets = [...readme.matchAll(/```ts\n([\s\S]*?)\n```/g)].map(([, code]) => code as string);
const examples = readdirSync(new URL("examples/", ROOT)).filter((file) => file.endsWith(".ts"));
const sourceOf = (file: string): string => readFileSync(new URL(`examples/${file}`, ROOT), "utf8").trim();

/** Runs an example as a reader would, on the built package. */
async function run(file: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", fileURLToPath(new URL(`examples/${file}`, ROOT))], { timeout: 30_000, env: { ...process.env, OPENAI_API_KEY: "" } });
  return stdout;
}

describe("README", () => {
  it("shows programs that are files of examples/, word by word", () => {
    expect(snippets.length).toBeGreaterThan(1);
    for (const snippet of snippets) expect(examples.map(sourceOf)).toContain(snippet);
  });

  it("names no file that does not exist", () => {
    const links = [...readme.matchAll(/\]\((?!http)([^)]+)\)/g)].map(([, path]) => path as string);
    for (const path of links) expect(() => readFileSync(new URL(path, ROOT))).not.toThrow();
  });

  it("quickstart asks the model once for the same message", async () => {
    const output = await run("quickstart.ts");
    expect(output.match(/sentiment: 'negative'/g)).toHaveLength(2);
    expect(output).toMatch(/hits: 1/);
  });

  it("options shows misses, a hit, a refresh, and what differs", async () => {
    const lines = (await run("options.ts")).split("\n");
    expect(lines.filter((line) => / in \d+ ms/.test(line)).map((line) => line.split(" ")[0])).toEqual(["miss", "hit", "miss", "miss", "miss"]);
    expect(lines.join("\n")).toContain("here: 'Where is my new card?'");
    expect(lines.join("\n")).toContain("1 entry forgotten");
  });
});
