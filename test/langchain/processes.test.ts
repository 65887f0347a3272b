import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenAIStub, startOpenAIStub } from "../support/fakes/openai-stub.ts";

const LOADER = new URL("../cli/source-loader.mjs", import.meta.url).href;

/** Runs a program of `fixtures/programs` in a process of its own; what it printed last, once it has ended by itself. */
async function run(program: string, ...args: string[]): Promise<Record<string, number>> {
  const file = fileURLToPath(new URL(`fixtures/programs/${program}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", "--no-warnings", "--import", LOADER, file, ...args], { timeout: 15_000 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Record<string, number>;
}

describe("a process of its own", () => {
  let stub: OpenAIStub;
  beforeAll(async () => {
    stub = await startOpenAIStub();
  });
  afterAll(() => stub.close());

  it("ends by itself after its last call, with streams left open and nothing closed", async () => {
    expect((await run("ends", stub.baseURL)).calls).toBeGreaterThanOrEqual(5);
  });

  describe("with keep-alive sockets", () => {
    let left: Record<string, number>;
    beforeAll(async () => {
      left = await run("keep-alive", stub.baseURL);
      expect(left.open).toBeGreaterThan(0);
      expect(left.calls).toBe(20);
    });

    it("keeps nothing of its calls alive", () => expect(left).toMatchObject({ questions: 0, answers: 0, configs: 0, facts: 0 }));

    it("keeps no perf alive that was dropped", () => expect(left.perfs).toBe(0));
  });
});
