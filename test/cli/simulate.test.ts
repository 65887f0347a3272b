import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { createSimulator } from "langchain-perf/testing";
import manifest from "../../package.json" with { type: "json" };
import { run } from "../../src/cli/run.ts";

/** Runs a command that ends by itself. */
async function command(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = { stdout: "", stderr: "" };
  const code = await run(argv, { stdout: (text) => void (output.stdout += text), stderr: (text) => void (output.stderr += text), ended: AbortSignal.abort() });
  return { code, ...output };
}

describe("langchain-perf", () => {
  it("shows help and version", async () => {
    expect(await command("--help")).toMatchObject({ code: 0, stdout: expect.stringMatching(/simulate[\s\S]*demo/), stderr: "" });
    expect(await command("simulate", "--help")).toMatchObject({ code: 0, stdout: expect.stringContaining("--latency <name>"), stderr: "" });
    expect(await command("--version")).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: "" });
  });

  it.each([
    [[], "A command is missing"],
    [["fly"], "Unknown command or option: fly"],
    [["--fly"], "--fly"],
    [["simulate", "--fly"], "--fly"],
    [["simulate", "now"], "now"],
    [["simulate", "--port"], "--port"],
    [["simulate", "--port", "x"], '--port: wanted a number, got "x"'],
    [["simulate", "--port", "70000"], "--port"],
    [["simulate", "--latency", "warp"], "--latency"],
    [["simulate", "--latency", "none", "--latency", "agent"], "--latency"],
    [["simulate", "--speed", "0"], "--speed"],
    [["simulate", "--capacity", "0"], "--capacity"],
    [["simulate", "--max-queue=-1"], "--max-queue"],
    [["simulate", "--rpm", "0"], "--rpm"],
    [["simulate", "--tpm", "none"], "--tpm"],
    [["simulate", "--fault", "explode"], "--fault"],
    [["simulate", "--fault", "reset", "--fault", "status=1"], "--fault"],
  ])("answers %j with usage on stderr and exit code 2", async (argv, complaint) => {
    const { code, stdout, stderr } = await command(...argv);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr.split("\n")[0]).toContain(complaint);
    expect(stderr).toContain("Usage:");
  });

  it("says when the port is taken, with exit code 1", async () => {
    await using taken = await createSimulator();
    const { code, stderr } = await command("simulate", "--port", new URL(taken.url).port);
    expect([code, stderr]).toEqual([1, expect.stringContaining("EADDRINUSE")]);
  });

  it("says what to install when the demo's programs lack a package", async () => {
    const told: string[] = [];
    const terminal = { stdout: () => {}, stderr: (text: string) => void told.push(text), ended: new AbortController().signal };
    const missing = (): never => {
      throw new Error("Cannot find package 'langchain' imported from /somewhere/dist/demo.js");
    };
    expect(await run(["demo"], terminal, async () => missing())).toBe(1);
    expect(told.join("")).toContain("npm install langchain");
    const broken = run(["demo"], terminal, () => Promise.reject(new Error("something else")));
    await expect(broken).rejects.toThrow("something else");
  });

  it("gives the demo its arguments and ends with its exit code", async () => {
    const given: string[][] = [];
    const demo = { main: async (argv: string[]) => (given.push(argv), 7) };
    expect(await run(["demo", "--program", "rag", "--help"], undefined, async () => demo)).toBe(7);
    expect(given).toEqual([["--program", "rag", "--help"]]);
  });
});

describe("langchain-perf simulate", () => {
  const children: ChildProcess[] = [];
  afterEach(() => children.splice(0).forEach((child) => child.kill("SIGKILL")));

  /** Starts the command as a process and reads its first output. */
  async function start(...argv: string[]): Promise<{ child: ChildProcess; first: string }> {
    const loader = new URL("./source-loader.mjs", import.meta.url).href;
    const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", loader, main, "simulate", "--port", "0", ...argv], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    const [first] = (await once(child.stdout!, "data")) as [Buffer];
    return { child, first: first.toString() };
  }

  it.each(["SIGINT", "SIGTERM"] as const)("serves by its options until %s, then ends cleanly", async (signal) => {
    const { child, first } = await start("--json", "--fault", "status=418,model=teapot", "--rpm", "600", "--digest-in-text", "--no-prompt-cache");
    const { baseURL } = JSON.parse(first) as { baseURL: string };
    const ask = (model: string): Promise<Response> =>
      fetch(`${baseURL}/chat/completions`, { method: "POST", body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }) });
    expect((await ask("teapot")).status).toBe(418);
    const answer = await ask("gpt-4o");
    expect(answer.headers.get("x-ratelimit-limit-requests")).toBe("600");
    expect(await answer.text()).toContain(`[#${answer.headers.get("x-request-digest")}]`);
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  it("tells people how to use it, and how many requests it served", async () => {
    const output = { stdout: "" };
    const end = new AbortController();
    const running = run(["simulate", "--port", "0", "--latency", "none", "--seed", "3"], { stdout: (text) => void (output.stdout += text), stderr: () => {}, ended: end.signal });
    while (output.stdout === "") await new Promise((resolve) => setImmediate(resolve));
    const baseURL = /new ChatOpenAI\(.*baseURL: "([^"]+)"/.exec(output.stdout)![1]!;
    await fetch(`${baseURL}/embeddings`, { method: "POST", body: JSON.stringify({ model: "m", input: "x" }) });
    end.abort();
    expect(await running).toBe(0);
    expect(output.stdout).toMatch(/Requests served: 1\.\n$/);
  });
});
