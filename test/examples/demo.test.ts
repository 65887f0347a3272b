import { afterEach, describe, expect, it, vi } from "vitest";
import { main } from "../../examples/demo/main.ts";
import { programs, type RunningProgram } from "../../examples/demo/programs.ts";

afterEach(() => vi.restoreAllMocks());

const fast = ["--latency", "none"];

/** Runs the demo and gives what it wrote. */
async function run(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  const code = await main(argv);
  for (const spy of spies) spy.mockRestore();
  return { code, ...written };
}

describe("langchain-perf demo", () => {
  it.each(Object.keys(programs))("%s answers alike with fewer upstream calls when wrapped", async (program) => {
    // Conversations drift apart: eight questions may well hold no repetition.
    const { code, stdout, stderr } = await run("--program", program, "--requests", "8", "--concurrency", "2", "--json", ...fast);
    expect(stderr).toBe("");
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ requests: 8, seed: 1, equal: true, programs: [{ program, questions: 8, answersEqual: 8 }] });
    const [{ bare, wrapped }] = result.programs;
    expect(wrapped.chatCalls).toBeLessThan(bare.chatCalls);
    expect(wrapped.costUsd).toBeLessThan(bare.costUsd);
    expect(wrapped.hitRate + wrapped.coalescedRate).toBeGreaterThan(0);
    expect(bare).not.toHaveProperty("hitRate");
    expect(code).toBe(0);
  });

  it("prints a table for each program, and what all came to", async () => {
    const { code, stdout, stderr } = await run("--program", "rag,sentiment", "--requests", "6", "--seed", "5", ...fast);
    for (const row of ["latency p50", "latency p95", "latency p99", "first token p50", "throughput", "upstream chat calls", "upstream embeddings calls", "input tokens", "output tokens", "cost", "cache hit rate"]) {
      expect(stdout).toMatch(new RegExp(`^  ${row} +\\S`, "m"));
    }
    expect(stdout).toContain("seed 5");
    expect(stdout).toContain("answers equal 12/12");
    expect(stderr).toMatch(/rag +bare +6\/6/);
    expect(stderr).toMatch(/sentiment +wrapped +6\/6/);
    expect(code).toBe(0);
  });

  it("exits with 1 and shows the question when the two sides answer differently", async () => {
    vi.spyOn(programs.sentiment, "start").mockImplementation(async (_, wrapped): Promise<RunningProgram> => ({ root: {}, converse: () => async () => `wrapped: ${wrapped}` }));
    const { code, stdout, stderr } = await run("--program", "sentiment", "--requests", "4", ...fast);
    expect(stdout).toContain("answers equal 0/4");
    expect(stderr).toContain("wrapped: true");
    expect(code).toBe(1);
  });

  it("exits with 1 and says why when a program fails", async () => {
    vi.spyOn(programs.chat, "start").mockImplementation(async () => ({ root: {}, converse: () => (question) => (question === programs.chat.warmUp ? Promise.resolve("") : Promise.reject(new Error("no answer today"))) }));
    const { code, stderr } = await run("--program", "chat", "--requests", "9", ...fast);
    expect(stderr).toContain("The demo failed: no answer today");
    expect(code).toBe(1);
  });

  it.each([
    [["--requests", "0"], "--requests must be a whole number from 1 to 100000; got \"0\""],
    [["--requests", "many"], "--requests must be"],
    [["--seed", "1.5"], "--seed must be"],
    [["--speed", "0"], "--speed must be"],
    [["--program", "poetry"], "--program must be one of rag, chat, agent, sentiment; got \"poetry\""],
    [["--program", "rag,"], "--program must be"],
    [["--latency", "warp"], "--latency must be one of none, agent,"],
    [["--wrong"], "--wrong"],
    [["--seed"], "--seed"],
    [["--json=yes"], "--json"],
    [["rag"], "rag"],
  ])("exits with 2 and usage on %j", async (argv, message) => {
    const { code, stdout, stderr } = await run(...argv);
    expect(stderr).toContain(message);
    expect(stderr).toContain("Usage: langchain-perf demo");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  it("--help prints the usage", async () => {
    const { code, stdout } = await run("--help");
    expect(stdout).toContain("--program <name>");
    expect(code).toBe(0);
  });
});
