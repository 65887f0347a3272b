import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

it("cached-rag answers from the file in a second perf, and asks again only what a changed document was the source of", async () => {
  const loader = new URL("../cli/source-loader.mjs", import.meta.url).href;
  const example = fileURLToPath(new URL("../../examples/cached-rag.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", "--import", loader, example], { timeout: 30_000, env: { ...process.env, OPENAI_API_KEY: "" } });
  expect(stdout.trim().split("\n").map((line) => line.trim())).toEqual([
    "miss",
    "miss",
    "hit memory",
    // A warm start may have been faster.
    expect.stringMatching(/^hit (persistent|memory)$/),
    "A new card arrives within five working days.",
    "1 answer forgotten",
    "miss",
    "A new card arrives within two working days.",
    expect.stringMatching(/^hit (persistent|memory)$/),
  ]);
});
