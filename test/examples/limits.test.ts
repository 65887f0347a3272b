import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

async function run(file: string): Promise<string> {
  const loader = new URL("../cli/source-loader.mjs", import.meta.url).href;
  const example = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", "--import", loader, example], { timeout: 40_000, env: { ...process.env, OPENAI_API_KEY: "" } });
  return stdout;
}

it("limits works through its list, serves the urgent call and embeds all questions in one request", async () => {
  const output = await run("limits.ts");
  expect(output).toContain("{ negative: 40 }");
  expect(output).toContain("sentiment: 'positive'");
  expect(output).toContain("[ 40 ] texts in a request");
  expect(output).toMatch(/queued: 0,\s+active: 0/);
});

it("pooled-fetch asks sixteen questions over eight connections", async () => {
  expect(await run("pooled-fetch.ts")).toMatch(/^16 answers over 8 connections: \d+ requests found one open, 0 failed$/m);
});
