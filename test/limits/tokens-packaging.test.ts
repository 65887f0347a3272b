import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Tiktoken } from "js-tiktoken/lite";
import o200k from "js-tiktoken/ranks/o200k_base";
import { build, type Options } from "tsup";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const text = "Counted exactly: tokenization, internationalization.";
const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

let folder: string;

/** Built as the package is, in two entries, so that the module which starts the thread lands in a chunk. */
beforeAll(async () => {
  process.env.NO_DTS = "1";
  const { default: configured } = (await import("../../tsup.config.ts")) as { default: Options[] };
  // In the project, so that what is built finds the packages.
  folder = await mkdtemp(`${root}/node_modules/.tokens-`);
  const [library, worker] = [configured.find(({ format }) => format?.includes("cjs")), configured.find(({ entry }) => entry && "tokens-worker" in entry)];
  const entry = { counter: "src/limits/tokens/counter.ts", thread: "src/limits/tokens/counting-thread.ts" };
  for (const options of [{ ...library, entry, sourcemap: false }, worker]) await build({ ...options, outDir: folder, config: false, silent: true });
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const count = `
  const counter = tokenCounter();
  const first = counter.count(["tokenization"], "gpt-4o");
  let counted = first;
  for (let round = 0; typeof counted === "number" && round < ROUNDS; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    counted = counter.count([${JSON.stringify(text)}], "gpt-4o");
  }
  console.log(JSON.stringify({ first: typeof first, isCounted: typeof counted !== "number", tokens: await counted }));`;

function program(format: "esm" | "cjs", rounds: number): Promise<{ stdout: string; stderr: string }> {
  const source =
    format === "esm"
      ? `import { tokenCounter } from ${JSON.stringify(`${folder}/counter.js`)}; ${count}`
      : `const { tokenCounter } = require(${JSON.stringify(`${folder}/counter.cjs`)}); (async () => { ${count} })();`;
  const type = format === "esm" ? "module" : "commonjs";
  return run(process.execPath, [`--input-type=${type}`, "--eval", source.replace("ROUNDS", `${rounds}`)], { cwd: root });
}

describe.each(["esm", "cjs"] as const)("the token counter in the built package, %s", (format) => {
  it("finds the thread's file beside it, and the program ends by itself", async () => {
    const { stdout, stderr } = await program(format, 1_000);
    expect(JSON.parse(stdout)).toEqual({ first: "number", isCounted: true, tokens: new Tiktoken(o200k).encode(text).length });
    expect(stderr).toBe("");
  });
});

describe.each(["esm", "cjs"] as const)("the token counter without the thread's file, %s", (format) => {
  beforeAll(() => rm(`${folder}/tokens-worker.js`, { force: true }));

  it("estimates, and warns once", async () => {
    const { stdout, stderr } = await program(format, 10);
    expect(JSON.parse(stdout)).toMatchObject({ first: "number", isCounted: false });
    expect(stderr.match(/tokens are estimated, not counted/g)).toHaveLength(1);
  });
});
