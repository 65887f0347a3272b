import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { freePort, startRedis } from "../support/services.ts";
import { command } from "./support/command.ts";
import { filled } from "./support/filled.ts";

let folder: string;
const at = (name: string): string => join(folder, name);

beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "langchain-perf-cli-"))));
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const REDIS = ["--redis", "redis://localhost:6379"];

describe("langchain-perf cache, wrongly used", () => {
  it.each([
    [[], "A command is missing."],
    [["fly"], "Unknown command or option: cache fly"],
    [["--fly"], "Unknown command or option: cache --fly"],
    [["stats"], "Which cache? Give --redis, --persistent or --file."],
    [["stats", "now", ...REDIS], "Unexpected argument: now"],
    [["stats", "--fly", ...REDIS], "Unknown option '--fly'"],
    [["stats", "--redis"], "Option '--redis <value>' argument missing"],
    [["stats", "--redis", ""], 'Option --redis: wanted a text that is not empty, got "".'],
    [["stats", "--redis", "localhost:6379"], 'Option --redis: wanted a URL redis://... or rediss://..., got "localhost".'],
    [["stats", "--redis", "http://user:secret@host"], 'Option --redis: wanted a URL redis://... or rediss://..., got "http".'],
    [["stats", ...REDIS, ...REDIS], "Option --redis: wanted one text"],
    [["stats", ...REDIS, "--file", "x.db"], "Two caches: this command looks into one"],
    [["clear", "--yes", "--file", "x.db", "--persistent", "sqlite:y.db"], "Two persistent caches: give either --persistent or --file."],
    [["stats", "--persistent", "mysql://user:secret@host/db"], 'Option --persistent: wanted sqlite:<file>, postgres://… or memcached://…, got "mysql:…".'],
    [["stats", "--persistent", "sqlite:"], "Option --persistent: wanted sqlite:<file>"],
    [["stats", "--persistent", "memcached://"], "Option --persistent: wanted host:port"],
    [["stats", "--file", "x.db", "--key-prefix", "a:"], "Option --key-prefix: belongs to --redis."],
    [["keys", ...REDIS, "--limit", "x"], 'Option --limit: wanted a number, got "x".'],
    [["keys", ...REDIS, "--limit=-1"], "Option --limit: wanted a whole number of at least 0, got -1."],
    [["get", ...REDIS], "<key> is missing."],
    [["get", "a", "b", ...REDIS], "Unexpected argument: b"],
    [["invalidate", ...REDIS], "Which entries? Give --tag, --tenant, --namespace or --key"],
    [["invalidate", ...REDIS, "--tag", ""], 'Option --tag: wanted a text that is not empty, got "".'],
    [["clear", ...REDIS], "This forgets everything: say --yes."],
  ])("answers %j with usage and exit code 2", async (argv, complaint) => {
    const { code, stdout, stderr } = await command("cache", ...argv);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr.split("\n")[0]).toContain(complaint);
    expect(stderr).toContain("Usage:");
    expect(stderr).not.toContain("secret");
  });

  it("names the variable that holds a wrong key, and shows nothing of it", async () => {
    vi.stubEnv("LANGCHAIN_PERF_ENCRYPTION_KEY", "short");
    const short = await command("cache", "stats", ...REDIS);
    expect([short.code, short.stderr.split(",")[0]]).toEqual([2, "LANGCHAIN_PERF_ENCRYPTION_KEY: wanted at least 32 bytes"]);
    expect(short.stderr).not.toContain('"short"');
    vi.stubEnv("LANGCHAIN_PERF_ENCRYPTION_KEY", "");
    vi.stubEnv("LANGCHAIN_PERF_PREVIOUS_KEYS", "a passphrase that is long enough");
    expect((await command("cache", "stats", ...REDIS)).stderr).toContain("LANGCHAIN_PERF_PREVIOUS_KEYS is set and LANGCHAIN_PERF_ENCRYPTION_KEY is not.");
  });

  it("shows help for the group and for each command", async () => {
    expect((await command("cache", "--help")).stdout).toMatch(/cache stats .*[\s\S]*cache keys .*[\s\S]*cache get <key> .*[\s\S]*cache invalidate .*[\s\S]*cache clear .*[\s\S]*cache warm /);
    for (const name of ["stats", "keys", "get", "invalidate", "clear", "warm"]) {
      const { code, stdout, stderr } = await command("cache", name, "--help");
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("--redis <url>");
    }
    expect((await command("cache", "stats", "-h")).stdout).toContain("perf.cache.stats()");
  });
});

describe("langchain-perf cache, where nobody answers", () => {
  const commands = [["stats"], ["keys"], ["get", "key"], ["invalidate", "--tag", "a"], ["clear", "--yes"]];

  it.each(["redis", "postgres", "memcached"])("says that %s cannot be reached, and not that it is empty", async (scheme) => {
    const address = `${scheme}://user:secret@127.0.0.1:${await freePort()}`;
    for (const argv of commands) {
      const { code, stdout, stderr } = await command("cache", ...argv, scheme === "redis" ? "--redis" : "--persistent", address);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(new RegExp(`^${scheme}://…@127\\.0\\.0\\.1:\\d+: .*ECONNREFUSED.*\n$`));
    }
  });

  it("does not wait for a frozen Redis", async () => {
    await using redis = await startRedis();
    await using _running = await filled({ redis: redis.url });
    redis.freeze();
    try {
      const loader = new URL("./source-loader.mjs", import.meta.url).href;
      const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
      const child = spawn(process.execPath, ["--import", loader, main, "cache", "get", "key", "--redis", redis.url], { stdio: ["ignore", "pipe", "pipe"] });
      const [stdout, stderr] = [Array.fromAsync(child.stdout), Array.fromAsync(child.stderr)];
      expect(await once(child, "exit")).toEqual([1, null]);
      expect(Buffer.concat(await stdout as Buffer[]).toString()).toBe("");
      expect(Buffer.concat(await stderr as Buffer[]).toString()).toMatch(/^redis:\/\/127\.0\.0\.1:\d+: .*(not connected|did not answer|timeout).*\n$/);
    } finally {
      redis.thaw();
    }
  });

  it("leaves files alone that are no cache", async () => {
    writeFileSync(at("notes.txt"), "not a database, and longer than a header");
    writeFileSync(at("empty.db"), "");
    mkdirSync(at("folder.db"));
    const other = new DatabaseSync(at("other.db"));
    other.exec("CREATE TABLE customers (name TEXT)");
    other.close();
    const before = readdirSync(folder).sort();
    const bytes = readFileSync(at("other.db"));
    for (const [name, complaint] of [
      ["absent.db", "there is no such file"],
      ["notes.txt", "it is not a SQLite file"],
      ["empty.db", "it is not a SQLite file"],
      ["folder.db", "it is not a file"],
      ["other.db", "the file is a database of another program; it is left as it is"],
    ] as const) {
      for (const argv of commands) {
        for (const flags of [["--file", at(name)], ["--persistent", `sqlite:${at(name)}`]]) {
          const { code, stdout, stderr } = await command("cache", ...argv, ...flags);
          expect([code, stdout, stderr.split("\n").length]).toEqual([1, "", 2]);
          expect(stderr).toContain(`${at(name)}: ${complaint}`);
        }
      }
    }
    expect(readdirSync(folder).sort()).toEqual(before);
    expect(readFileSync(at("other.db"))).toEqual(bytes);
    expect(readFileSync(at("notes.txt"), "utf8")).toContain("longer than a header");
  });
});
