import { execFile } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

beforeAll(() => {
  if (!existsSync(`${root}/dist/index.js`)) throw new Error("The package is not built: npm run build:js");
});

describe.each(["esm.mjs", "commonjs.cjs"])("the built package in a program, %s", (program) => {
  it("is one thing across its entry points: perfs, errors and registries are shared", async () => {
    const { stdout, stderr } = await run(process.execPath, [`${root}/test/packaging/programs/${program}`], { cwd: root });
    expect(JSON.parse(stdout)).toEqual({
      answers: ["first", "first"],
      statuses: ["miss", "hit", "miss"],
      agent: "agent",
      samePerf: [true, true],
      sameErrors: [true, true, true],
    });
    expect(stderr).toBe("");
  });

  it("finds agents by their files with source maps on, too", async () => {
    const { stdout } = await run(process.execPath, ["--enable-source-maps", `${root}/test/packaging/programs/${program}`], { cwd: root });
    expect(JSON.parse(stdout)).toMatchObject({ agent: "agent" });
  });
});

describe("the built package", () => {
  it("never loads langchain by itself", async () => {
    const source = `
      import "langchain-perf/register";
      import { RunnableLambda } from "@langchain/core/runnables";
      import { StateGraph, MessagesAnnotation } from "@langchain/langgraph";
      new StateGraph(MessagesAnnotation).addNode("ask", RunnableLambda.from(() => ({}))).addEdge("__start__", "ask").compile().withPerf();
      const before = globalThis.loaded.length;
      await import("langchain");
      console.log(JSON.stringify({ before, after: globalThis.loaded.length > 0 }));`;
    const hook = `
      import { registerHooks } from "node:module";
      globalThis.loaded = [];
      registerHooks({ load(url, context, next) { if (/node_modules\\/langchain\\//.test(url)) globalThis.loaded.push(url); return next(url, context); } });`;
    const { stdout } = await run(process.execPath, ["--import", `data:text/javascript,${encodeURIComponent(hook)}`, "--input-type=module", "--eval", source], { cwd: root });
    expect(JSON.parse(stdout)).toEqual({ before: 0, after: true });
  });

  it("has a command that runs", async () => {
    const { bin } = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { bin: Record<string, string> };
    const command = `${root}/${bin["langchain-perf"]}`;
    expect(readFileSync(command, "utf8").startsWith("#!/usr/bin/env node\n")).toBe(true);
    expect(statSync(command).mode & 0o111).toBe(0o111);
    const { stdout } = await run(process.execPath, [command, "--help"], { cwd: root });
    expect(stdout).toContain("langchain-perf");
  });
});
