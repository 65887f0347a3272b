import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPerf } from "langchain-perf";
import chain, { asking } from "./fixtures/chain.ts";
import { command, commandOn } from "./support/command.ts";

const MODULE = fileURLToPath(new URL("./fixtures/chain.ts", import.meta.url));

let folder: string;
let file: string;
let base: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "langchain-perf-cli-"));
  file = join(folder, "perf.db");
  base = ["cache", "warm", "--file", file, "--module", MODULE, "--inputs"];
});
afterEach(() => rmSync(folder, { recursive: true }));

function questions(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** How another process finds the answer to a question. */
async function statusOf(work: () => Promise<unknown>, wishes = {}): Promise<string | undefined> {
  await using perf = createPerf({ cache: { persistent: `sqlite:${file}` } });
  let status: string | undefined;
  perf.on("call", ({ cache }) => void (status = cache?.status));
  await perf.run(work, wishes);
  return status;
}

describe("langchain-perf cache warm", () => {
  it("keeps the answers for another process, and asks nothing twice", async () => {
    const inputs = questions("questions.txt", "\uFEFFWhere is my card?\r\n\r\n  How do I pay?  \n");
    expect(await command(...base, inputs)).toEqual({ code: 0, stdout: expect.stringMatching(/^2 of 2 questions asked in \d s, 0 failed; 2 calls, 0 of them known before\.\n$/), stderr: "warmed 2/2 (100%)\n" });
    expect(await statusOf(() => chain.invoke("How do I pay?"))).toBe("hit");
    expect(await statusOf(() => chain.invoke("How do I pay today?"))).toBe("miss");
    expect((await command(...base, inputs, "--export", "later", "--concurrency", "1")).stdout).toContain("2 calls, 2 of them known before");
  });

  it("takes JSON values line by line, a tenant, tags, a namespace and a time to live", async () => {
    const inputs = questions("questions.jsonl", '{"question":"Where is my card?"}\n');
    const wishes = ["--export", "asking", "--tenant", "acme", "--tag", "cards", "--ttl-ms", "120000"];
    expect((await command(...base, inputs, ...wishes)).code).toBe(0);
    expect(await statusOf(() => asking.invoke({ question: "Where is my card?" }), { tenant: "acme" })).toBe("hit");
    expect(await statusOf(() => asking.invoke({ question: "Where is my card?" }))).toBe("miss");
    const [entry] = (await command("cache", "keys", "--json", "--file", file)).stdout.split("\n").map((line) => JSON.parse(line || "{}")).filter(({ tenant }) => tenant === "acme");
    expect(entry).toMatchObject({ tags: ["cards"], model: "warm" });
    expect(Date.parse(entry.freshUntil) - Date.parse(entry.storedAt)).toBe(120_000);
    expect((await command(...base, inputs, ...wishes, "--namespace", "other")).stdout).toContain("0 of them known before");
  });

  it("reports what failed, and ends with 1", async () => {
    const inputs = questions("questions.txt", "fine\nplease fail\nfine too\n");
    const { code, stdout, stderr } = await command(...base, inputs, "--json");
    expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ questions: 3, done: 3, failed: 1, hits: 0, aborted: false, errors: [{ question: 2, error: "no answer today" }] })]);
    expect(stderr).toContain("question 2: no answer today\n");
    expect(await statusOf(() => chain.invoke("fine too"))).toBe("hit");
  });

  it("writes its progress into one line where that can be written again", async () => {
    const { stderr } = await commandOn({ rewrites: true }, ...base, questions("questions.txt", "one\ntwo\n"));
    expect(stderr.split("\r\u001B[2K").slice(1).at(-1)).toBe("warmed 2/2 (100%)\n");
    expect(stderr.match(/\n/g)).toHaveLength(1);
  });

  it("ends with 1 when it is interrupted", async () => {
    const { code, stdout } = await commandOn({ ended: AbortSignal.abort() }, ...base, questions("questions.txt", "one\n"), "--json");
    expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ done: 0, aborted: true })]);
  });

  it.each([
    ["wrapped", "has a perf of its own"],
    ["silent", "No answer was kept"],
    ["text", 'export "text" is no Runnable'],
    ["missing", 'it has no export "missing", but '],
    ["failing", "no settings"],
  ])("says why the export %s cannot be warmed", async (name, complaint) => {
    const { code, stderr } = await command(...base, questions("questions.txt", "one\n"), "--export", name);
    expect([code, stderr]).toEqual([1, expect.stringContaining(complaint)]);
  });

  it("says what is wrong with the questions or the module, and makes no file", async () => {
    const good = questions("good.txt", "one\n");
    const cases: [string[], number, RegExp][] = [
      [[...base, questions("broken.jsonl", '"fine"\n{"question":\n')], 1, /broken\.jsonl:2: .*JSON/],
      [[...base, questions("empty.txt", "\n \n")], 1, /empty\.txt: there is no question in it/],
      [[...base, join(folder, "nothing.txt")], 1, /nothing\.txt: ENOENT/],
      [["cache", "warm", "--file", file, "--inputs", good], 2, /^Option --module is missing/],
      [["cache", "warm", "--file", file, "--module", MODULE], 2, /^Option --inputs is missing/],
      [[...base, good, "--concurrency", "0"], 2, /^Option --concurrency: wanted a whole number of at least 1, got 0/],
    ];
    for (const [argv, exit, complaint] of cases) {
      const { code, stdout, stderr } = await command(...argv);
      expect([code, stdout, stderr]).toEqual([exit, "", expect.stringMatching(complaint)]);
    }
    expect(existsSync(file)).toBe(false);
    const absent = await command("cache", "warm", "--file", file, "--module", join(folder, "chain.ts"), "--inputs", good);
    expect([absent.code, absent.stderr]).toEqual([1, expect.stringMatching(/chain\.ts: (Cannot find|Failed to load|Does the file exist)/i)]);
  });
});
