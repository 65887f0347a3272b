import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("limits works through its list, serves the urgent call and embeds all questions in one request", async () => {
  const loader = new URL("../cli/source-loader.mjs", import.meta.url).href;
  const example = fileURLToPath(new URL("../../examples/limits.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", "--import", loader, example], { timeout: 30_000, env: { ...process.env, OPENAI_API_KEY: "" } });
  expect(stdout).toContain("{ negative: 40 }");
  expect(stdout).toContain("sentiment: 'positive'");
  expect(stdout).toContain("[ 40 ] texts in a request");
  expect(stdout).toMatch(/queued: 0,\s+active: 0/);
});
