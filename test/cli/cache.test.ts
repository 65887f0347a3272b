import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createPerf, type CacheOptions } from "langchain-perf";
import { eventually, startMemcached, startPostgres, startRedis, type Server } from "../support/services.ts";
import { command } from "./support/command.ts";
import { FILLED, filled } from "./support/filled.ts";

const KEY = "a key of thirty-two bytes at least";
const OTHER_KEY = "another key of thirty-two bytes, at least";

let folder: string;
let redis: Server;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "langchain-perf-cli-"))));
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

interface Place {
  readonly cache: CacheOptions;
  readonly flags: string[];
  readonly address: string;
}

let prefixes = 0;

/** Redis below a prefix of its own, or a file of its own. */
function place(kind: "redis" | "sqlite"): Place {
  if (kind === "sqlite") {
    const file = join(folder, "perf.db");
    return { cache: { persistent: `sqlite:${file}` }, flags: ["--file", file], address: `sqlite:${file}` };
  }
  const keyPrefix = `cli-${(prefixes += 1)}:`;
  return { cache: { redis: { url: redis.url, keyPrefix } }, flags: ["--redis", redis.url, "--key-prefix", keyPrefix], address: redis.url };
}

async function keysIn(flags: string[]): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await command("cache", "keys", "--json", ...flags);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe.each(["redis", "sqlite"] as const)("langchain-perf cache against %s", (kind) => {
  it("stats counts entries by tier and kind, for people and as JSON", async () => {
    const { cache, flags, address } = place(kind);
    await using _running = await filled(cache);
    const { code, stdout, stderr } = await command("cache", "stats", ...flags);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^${address}\n\n`));
    expect(stdout).toMatch(new RegExp(`^${kind === "redis" ? "redis +redis" : "persistent +sqlite"} +${FILLED} +\\S+`, "m"));
    expect(stdout).toMatch(new RegExp(`^function +– +${FILLED} +[\\d.,]+ (B|KiB) +\\d s +\\d s$`, "m"));
    expect(stdout).not.toMatch(/ $/m);
    const told = JSON.parse((await command("cache", "stats", "--json", ...flags)).stdout) as object;
    expect(told).toMatchObject({ address, tiers: [{ tier: kind === "redis" ? "redis" : "persistent", store: kind, entries: FILLED }], sampled: FILLED, kinds: [{ kind: "function", entries: FILLED, sizeBytes: expect.any(Number), oldest: expect.stringMatching(/Z$/) }] });
  });

  it("keys lists entries with what is known of them, at most as many as wanted", async () => {
    const { cache, flags } = place(kind);
    await using _running = await filled(cache);
    const listed = await keysIn(flags);
    expect(listed).toHaveLength(FILLED);
    expect(listed.find(({ tenant }) => tenant === "acme")).toMatchObject({ key: expect.stringMatching(/^[\w-]{43}$/), kind: "function", namespace: "default", tags: ["orders", "order-3"], storedAt: expect.stringMatching(/Z$/), sizeBytes: expect.any(Number) });
    const { stdout, stderr } = await command("cache", "keys", "--limit", "2", ...flags);
    expect(stdout.split("\n")).toHaveLength(2 + 2 + 1);
    expect(stdout).toMatch(/^[\w-]{43} {2}function +– +(acme|–) +(orders, order-\d|users) +[\d.,]+ (B|KiB) +\d s +59 min$/m);
    expect(stderr).toContain("There are more");
    expect((await command("cache", "keys", "--json", "--limit", "2", ...flags)).stdout.trim().split("\n")).toHaveLength(2);
    expect((await command("cache", "keys", "--limit", String(FILLED), ...flags)).stderr).toBe("");
    expect((await command("cache", "keys", "--limit", "0", ...flags)).stdout.trim().split("\n")).toHaveLength(2 + FILLED);
  });

  it("get shows an entry and its answer, whatever that holds", async () => {
    const { cache, flags } = place(kind);
    await using _running = await filled(cache);
    const listed = await keysIn(flags);
    const keyOf = (tag: string): string => listed.find(({ tags }) => (tags as string[]).includes(tag))?.key as string;
    const { code, stdout } = await command("cache", "get", keyOf("order-3"), ...flags);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^tenant +acme$/m);
    expect(stdout).toMatch(/^fresh +for 59 min more$/m);
    expect(stdout).toContain("{ id: 3, text: 'order 3, run 3' }");
    const told = JSON.parse((await command("cache", "get", keyOf("users"), "--json", ...flags)).stdout) as object;
    expect(told).toMatchObject({ key: keyOf("users"), tags: ["users"], answer: { total: "12", rows: [["ada", [0.5, 1]]] } });
    expect(await command("cache", "get", "nobody", ...flags)).toEqual({ code: 1, stdout: "", stderr: expect.stringContaining("nobody: there is no such key in ") });
  });

  it.each([
    [["--tag", "order-1"], 1],
    [["--tag", "order-1", "--tag", "users"], 2],
    [["--tenant", "acme"], 1],
    [["--tag", "orders", "--tenant", "acme"], 1],
    [["--namespace", "default"], FILLED],
    [["--namespace", "another"], 0],
    [["--tag", "007"], 0],
  ])("invalidate %j forgets %i", async (conditions, forgotten) => {
    const { cache, flags } = place(kind);
    await using _running = await filled(cache);
    const told = await command("cache", "invalidate", "--json", ...conditions, ...flags);
    expect(told).toEqual({ code: 0, stdout: `{"invalidated":${forgotten}}\n`, stderr: "" });
    expect(await keysIn(flags)).toHaveLength(FILLED - forgotten);
  });

  it("invalidate forgets one key, also one that looks like a flag", async () => {
    const { cache, flags } = place(kind);
    await using running = await filled(cache);
    const dashed = running.perf.cached("dashed", async (id: number) => id);
    let key: string | undefined;
    running.perf.on("call", (facts) => void (key = facts.cache?.key));
    for (let id = 0; !key?.startsWith("-"); id += 1) await dashed(id);
    await running.perf.flush();
    expect((await command("cache", "get", key, ...flags)).code).toBe(0);
    expect(await command("cache", "invalidate", "--key", key, ...flags)).toEqual({ code: 0, stdout: "1 entry forgotten.\n", stderr: "" });
    expect((await command("cache", "get", key, ...flags)).code).toBe(1);
  });

  it("clear forgets everything, and nothing without --yes", async () => {
    const { cache, flags } = place(kind);
    await using _running = await filled(cache);
    const refused = await command("cache", "clear", ...flags);
    expect([refused.code, refused.stderr.split("\n")[0]]).toEqual([2, "This forgets everything: say --yes."]);
    expect(await keysIn(flags)).toHaveLength(FILLED);
    expect(await command("cache", "clear", "--yes", ...flags)).toMatchObject({ code: 0, stdout: expect.stringContaining("everything is forgotten"), stderr: "" });
    expect(await command("cache", "keys", ...flags)).toEqual({ code: 0, stdout: "No entries.\n", stderr: "" });
  });

  it("opens encrypted entries with the key of the environment alone", async () => {
    const { cache, flags } = place(kind);
    await using _running = await filled({ ...cache, encryptionKey: KEY });
    const locked = await command("cache", "keys", ...flags);
    expect([locked.code, locked.stdout.match(/does not open/g)?.length]).toEqual([0, FILLED]);
    expect(locked.stderr).toContain(`${FILLED} of them did not open`);
    const blind = await command("cache", "invalidate", "--tag", "orders", ...flags);
    expect([blind.code, blind.stdout]).toEqual([1, ""]);
    expect(blind.stderr).toContain("LANGCHAIN_PERF_ENCRYPTION_KEY is not set");

    vi.stubEnv("LANGCHAIN_PERF_ENCRYPTION_KEY", OTHER_KEY);
    expect((await command("cache", "keys", ...flags)).stderr).toContain("LANGCHAIN_PERF_ENCRYPTION_KEY is not their key");
    vi.stubEnv("LANGCHAIN_PERF_PREVIOUS_KEYS", KEY);
    const [{ key }] = (await keysIn(flags)) as [{ key: string }];
    expect((await command("cache", "invalidate", "--tag", "orders", "--json", ...flags)).stdout).toBe('{"invalidated":3}\n');
    vi.unstubAllEnvs();
    vi.stubEnv("LANGCHAIN_PERF_ENCRYPTION_KEY", KEY);
    const [left] = await keysIn(flags);
    vi.unstubAllEnvs();
    const closed = await command("cache", "get", String(left?.key ?? key), ...flags);
    expect([closed.code, closed.stdout]).toEqual([1, ""]);
    expect(closed.stderr).toMatch(/the entry does not open: .*LANGCHAIN_PERF_ENCRYPTION_KEY is not set\.\n$/);
  });
});

it("a running process hears of what the command invalidates, and so does the file behind it", async () => {
  const [shared, local] = [place("redis"), place("sqlite")];
  await using running = await filled({ ...shared.cache, ...local.cache });
  expect(await running.order(1)).toMatchObject({ text: "order 1, run 1" });
  expect((await command("cache", "invalidate", "--tag", "order-1", ...shared.flags)).stdout).toBe("1 entry forgotten.\n");
  await eventually(async () => (await running.order(1)).text === "order 1, run 4");
  expect(await running.order(2)).toMatchObject({ text: "order 2, run 2" });
  await running.perf.flush();
  expect((await command("cache", "clear", "--yes", ...shared.flags, ...local.flags)).code).toBe(0);
  await eventually(() => running.perf.cache.stats().entries === 0);
  expect(await keysIn(local.flags)).toEqual([]);
});

it("looks into Postgres, and says what memcached cannot do", async () => {
  await using postgres = await startPostgres();
  await using memcached = await startMemcached();
  await using _one = await filled({ persistent: postgres.url });
  expect(await keysIn(["--persistent", postgres.url])).toHaveLength(FILLED);
  const address = memcached.url.startsWith("memcached://") ? memcached.url : `memcached://${memcached.url}`;
  await using other = await filled({ persistent: address });
  const key = await new Promise<string>((resolve) => {
    other.perf.on("call", ({ cache }) => resolve(cache?.key as string));
    void other.order(1);
  });
  expect((await command("cache", "get", key, "--persistent", address)).stdout).toContain("order 1, run 1");
  expect(await command("cache", "keys", "--persistent", address)).toMatchObject({ code: 1, stderr: expect.stringContaining("memcached cannot list its keys") });
  expect((await command("cache", "stats", "--persistent", address)).stdout).toMatch(/^persistent +memcached +– +–$/m);
  expect((await command("cache", "invalidate", "--tag", "orders", "--persistent", address)).stdout).toBe("Forgotten; memcached does not count.\n");
  expect((await command("cache", "get", key, "--persistent", address)).code).toBe(1);
});

it("shows what others wrote without letting it steer the terminal", async () => {
  const { cache, flags } = place("sqlite");
  const perf = createPerf({ cache });
  await perf.cached("evil", async () => "\u001B[2Jgone\u0007", { tags: ["\u001B]0;title\u0007"] })();
  await perf.close();
  const [{ key }] = (await keysIn(flags)) as [{ key: string }];
  for (const argv of [["keys"], ["get", key], ["get", key, "--json"], ["keys", "--json"], ["stats"]]) {
    const { code, stdout } = await command("cache", ...argv, ...flags);
    expect(code).toBe(0);
    // oxlint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F]/);
  }
  expect(existsSync(join(folder, "perf.db"))).toBe(true);
});
