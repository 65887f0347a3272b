import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("routing answers every question though one of three deployments refuses all requests, and shows who was asked", async () => {
  const loader = new URL("../cli/source-loader.mjs", import.meta.url).href;
  const example = fileURLToPath(new URL("../../examples/routing.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", "--import", loader, example], { timeout: 30_000, env: { ...process.env, OPENAI_API_KEY: "" } });
  expect(stdout.match(/^  'You asked about /gm)).toHaveLength(3);
  expect(stdout.match(/^(west|claude) answered: .*\1 ok$/gm)).toHaveLength(3);
  expect(stdout).toMatch(/: east overloaded, (west|claude) ok$/m);
  for (const id of ["east", "west", "claude"]) expect(stdout).toContain(`'${id}'`);
});
