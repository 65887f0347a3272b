import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Cluster, Redis } from "ioredis";
import { afterAll, describe, expect, it } from "vitest";
import type { HealthNews, SharedHealth } from "../../src/stores/health.ts";
import { RedisConnection, type RedisSource } from "../../src/stores/redis.ts";
import { redisBoard } from "../../src/stores/redis/board.ts";
import { eventually, faultProxy, sharedRedis, startRedis, startRedisCluster, type FaultProxy, type Server } from "../support/services.ts";

const cleanups: (() => unknown)[] = [];
afterAll(async () => void (await Promise.all(cleanups.map((cleanUp) => cleanUp()))));

interface Peer {
  readonly board: SharedHealth;
  readonly heard: HealthNews[];
}

/** A process' board, and what it hears. */
function join(source: RedisSource, name = "pool"): Peer {
  const connection = new RedisConnection(source);
  const board = redisBoard(connection, name);
  cleanups.push(async () => {
    await board.close();
    connection.close();
  });
  const heard: HealthNews[] = [];
  board.hear((news) => heard.push(news));
  return { board, heard };
}

/** Keys of a test's own on the server that all share. */
async function shared(): Promise<{ url: string; keyPrefix: string }> {
  return { url: (await sharedRedis()).url, keyPrefix: `${randomUUID()}:` };
}

const open = (deployment: string, untilMs = 30_000): HealthNews => ({ deployment, kind: "open", untilMs, reason: "5 of 5 failed" });
const told = ({ heard }: Peer): string[] => heard.map(({ deployment, kind }) => `${kind} ${deployment}`);

async function hears(peer: Peer, wanted: readonly string[]): Promise<void> {
  await eventually(() => peer.heard.length >= wanted.length).catch(() => {});
  expect(told(peer)).toEqual(wanted);
}

/** Both are there: each has heard of the other's load. */
async function meet(...peers: readonly Peer[]): Promise<void> {
  for (const { board } of peers) board.report(() => ({ hello: 1 }));
  await eventually(() => peers.every(({ board }) => board.load("hello") === peers.length - 1));
}

describe("news of a deployment", () => {
  it("is told to the others within half a beat, with the time left, and not to whoever told it", async () => {
    const source = await shared();
    const [one, two] = [join(source), join(source)];
    await meet(one, two);
    const toldAt = performance.now();
    one.board.tell(open("a"));
    await eventually(() => two.heard.length > 0, { intervalMs: 2 });
    expect(performance.now() - toldAt).toBeLessThan(250);
    expect(two.heard).toEqual([{ deployment: "a", kind: "open", untilMs: expect.any(Number), reason: "5 of 5 failed" }]);
    expect(two.heard[0]?.untilMs).toBeGreaterThan(29_500);
    expect(two.heard[0]?.untilMs).toBeLessThanOrEqual(30_000);
    await two.board.close();
    expect(one.heard).toEqual([]);
  });

  it("is told once, in order, and the last word counts", async () => {
    const source = await shared();
    const [one, two] = [join(source), join(source)];
    await meet(one, two);
    const kinds = ["open", "closed", "aside", "disabled", "closed", "open"] as const;
    for (const kind of kinds) {
      one.board.tell({ deployment: "a", kind, untilMs: 30_000, reason: kind });
      await eventually(() => two.heard.at(-1)?.reason === kind);
    }
    // Two beats later everything has been read again.
    await meet(one, two, join(source));
    await hears(two, kinds.map((kind) => `${kind} a`));
  });

  it("is heard by a newcomer while it holds, as far as nobody has said otherwise", async () => {
    const source = await shared();
    const [one, two] = [join(source), join(source)];
    await meet(one, two);
    one.board.tell(open("a"));
    one.board.tell({ deployment: "b", kind: "aside", untilMs: 20_000, reason: "429" });
    one.board.tell({ deployment: "b", kind: "disabled", reason: "401" });
    one.board.tell(open("c", 50));
    one.board.tell(open("d"));
    await eventually(() => two.heard.length === 5);
    two.board.tell({ deployment: "d", kind: "closed", reason: "works" });
    await eventually(() => one.heard.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const newcomer = join(source);
    await eventually(() => newcomer.heard.length >= 4);
    expect(told(newcomer).sort()).toEqual(["aside b", "closed d", "disabled b", "open a"]);
    for (const { kind, untilMs = 0 } of newcomer.heard) {
      const fullMs = { open: 30_000, aside: 20_000, disabled: 60_000, closed: 60_000 }[kind];
      expect(untilMs).toBeLessThan(fullMs);
      expect(untilMs).toBeGreaterThan(fullMs - 5_000);
    }
  });

  it("stays among those of one name, and leaves nothing behind when it is over", async () => {
    const source = await shared();
    const admin = new Redis(source.url);
    cleanups.push(() => admin.disconnect());
    const [one, two, stranger] = [join(source), join(source), join(source, "another")];
    await meet(one, two);
    one.board.tell(open("a", 300));
    await hears(two, ["open a"]);
    const keys = (): Promise<string[]> => admin.keys(`${source.keyPrefix}*`);
    expect(await keys()).toHaveLength(2);
    await Promise.all([one, two].map(({ board }) => board.close()));
    await eventually(async () => (await keys()).length === 0);
    expect(stranger.heard).toEqual([]);
  });

  it("of any name and reason arrives", async () => {
    const source = await shared();
    const [one, two] = [join(source), join(source)];
    await meet(one, two);
    const names = ["", "a b:c\n{d}", "ü\u{1F600}", "__proto__", "aside:a", "\ud800"];
    for (const name of names) one.board.tell({ deployment: name, kind: "open", untilMs: 1.5e300, reason: `${"x".repeat(199)}\u{1F600}` });
    await eventually(() => two.heard.length === names.length);
    expect(two.heard.map(({ deployment }) => deployment).sort()).toEqual(names.map((name) => name.toWellFormed()).sort());
  });

  it("that makes a listener fail does not keep it from the next", async () => {
    const source = await shared();
    const [one, two] = [join(source), join(source)];
    await meet(one, two);
    const warned = once(process, "warning");
    const heard: string[] = [];
    two.board.hear(({ deployment }) => {
      heard.push(deployment);
      if (deployment === "a") throw new Error("a listener's mistake");
    });
    one.board.tell(open("a"));
    one.board.tell(open("b"));
    await eventually(() => heard.length === 2);
    expect(String((await warned)[0])).toContain("a listener's mistake");
  });
});

describe("what others have under way", () => {
  it("is their sum, follows them, and is nothing of one's own", async () => {
    const source = await shared();
    const [one, two, three] = [join(source), join(source), join(source)];
    let requests = 3;
    one.board.report(() => ({ a: requests, b: 1, idle: 0 }));
    two.board.report(() => ({ a: 2 }));
    await eventually(() => three.board.load("a") === 5 && three.board.load("b") === 1);
    await eventually(() => one.board.load("a") === 2 && two.board.load("a") === 3);
    expect(three.board.load("idle")).toBe(0);
    requests = 0;
    await eventually(() => three.board.load("a") === 2);
    await one.board.close();
    await eventually(() => three.board.load("b") === 0, { timeoutMs: 1_500 });
  });

  it("is forgotten within five seconds of their death", async () => {
    const source = await shared();
    const one = join(source);
    // The others go on, and keep what is theirs.
    one.board.report(() => ({ mine: 1 }));
    const other = spawnProcess(source, "stay");
    await eventually(() => one.board.load("a") === 7);
    await hears(one, ["open a"]);
    other.kill("SIGKILL");
    await eventually(() => one.board.load("a") === 0, { timeoutMs: 5_000 });
  });

  it("does not keep a process alive", async () => {
    const other = spawnProcess(await shared());
    const [code] = (await Promise.race([once(other, "exit"), new Promise<string[]>((resolve) => setTimeout(resolve, 8_000, ["stays"]))])) as unknown[];
    expect(code).toBe(0);
  });

  function spawnProcess({ url, keyPrefix }: { url: string; keyPrefix: string }, ...more: string[]): ReturnType<typeof spawn> {
    const program = fileURLToPath(new URL("fixtures/health-process.ts", import.meta.url));
    const other = spawn(process.execPath, [program, url, keyPrefix, "pool", ...more], { stdio: ["ignore", "ignore", "inherit"] });
    cleanups.push(() => other.kill("SIGKILL"));
    return other;
  }
});

it("ignores what nobody of ours has written, and puts it out of the way", async () => {
  const source = await shared();
  const admin = new Redis(source.url);
  cleanups.push(() => admin.disconnect());
  const [one, two] = [join(source), join(source)];
  await meet(one, two);
  const key = `${source.keyPrefix}{health:pool}`;
  const garbage = ["", "{", "null", "[]", "{}", "[1,2,3,4,5,6]", '["now","p","a","open",5,"r"]', '[9,"p","a","shut",5,"r"]', '[9,"p",{},"open",5,"r"]', '[9,"p","a","open",null,"r"]', '[1,{"a":"x"}]', `[9e15,${"[".repeat(2_000)}`];
  for (const [at, text] of garbage.entries()) {
    await admin.publish(`${key}:news`, text);
    await admin.hset(`${key}:news`, `garbage ${at}`, text);
    await admin.hset(`${key}:loads`, `garbage ${at}`, text);
  }
  one.board.tell(open("a"));
  await hears(two, ["open a"]);
  await eventually(async () => (await admin.hlen(`${key}:loads`)) === 2 && (await admin.hlen(`${key}:news`)) === 1);
  expect(two.board.load("hello")).toBe(1);
});

type Fault = (server: Server, proxy: FaultProxy) => { begin(): void; end(): void };

const FAULTS: Record<string, Fault> = {
  "is cut off": (_server, proxy) => ({ begin: () => proxy.cut(), end: () => proxy.heal() }),
  "says nothing": (_server, proxy) => ({ begin: () => proxy.stall(), end: () => proxy.heal() }),
  "is frozen": (server) => ({ begin: () => server.freeze(), end: () => server.thaw() }),
  "talks nonsense": (_server, proxy) => ({ begin: () => proxy.garble(), end: () => proxy.heal() }),
};

describe.concurrent("while Redis", () => {
  for (const [fault, make] of Object.entries(FAULTS)) {
    it(`${fault}, a process knows of itself alone, and of all others soon after`, async ({ expect }) => {
      await using server = await startRedis();
      await using proxy = await faultProxy(server.port);
      const [one, two] = [join(`redis://127.0.0.1:${proxy.port}`), join(`redis://127.0.0.1:${proxy.port}`)];
      await meet(one, two);
      const { begin, end } = make(server, proxy);
      begin();
      await eventually(() => one.board.load("hello") === 0 && two.board.load("hello") === 0);
      one.board.tell(open("outdated", 100));
      one.board.tell(open("a", 30_000));
      one.board.tell({ deployment: "a", kind: "closed", untilMs: 30_000, reason: "the last word" });
      await new Promise((resolve) => setTimeout(resolve, 200));
      end();
      await eventually(() => one.board.load("hello") === 1 && two.board.load("hello") === 1);
      await eventually(() => two.heard.length > 0);
      expect(told(two)).toEqual(["closed a"]);
    }, 30_000);
  }

  it("was frozen, it does not believe what was told it long ago", async ({ expect }) => {
    await using server = await startRedis();
    const [one, two] = [join(server.url), join(server.url)];
    await meet(one, two);
    server.freeze();
    one.board.tell(open("outdated", 2_000));
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    server.thaw();
    await eventually(() => two.board.load("hello") === 1);
    one.board.tell(open("a"));
    await eventually(() => two.heard.some(({ deployment }) => deployment === "a"));
    expect(told(two)).toEqual(["open a"]);
  }, 30_000);

  it("is dead and comes back empty, what a process has said stands again", async ({ expect }) => {
    await using server = await startRedis();
    const [one, two] = [join(server.url), join(server.url)];
    await meet(one, two);
    one.board.tell(open("a"));
    one.board.tell(open("b"));
    await eventually(() => two.heard.length === 2);
    two.board.tell({ deployment: "b", kind: "closed", untilMs: 30_000, reason: "works" });
    await eventually(() => one.heard.length === 1);
    await server.kill();
    await eventually(() => two.board.load("hello") === 0);
    await server.start();
    await eventually(() => two.board.load("hello") === 1);
    const newcomer = join(server.url);
    await eventually(() => newcomer.heard.length >= 2);
    expect(told(newcomer).sort()).toEqual(["closed b", "open a"]);
  }, 30_000);

  it("was never there, nothing throws, warns or waits", async ({ expect }) => {
    const warnings: Error[] = [];
    const hear = (warning: Error): void => void warnings.push(warning);
    process.on("warning", hear);
    const { board } = join("redis://127.0.0.1:1");
    for (let news = 0; news < 2_000; news += 1) board.tell(open(`${news}`));
    expect(board.load("a")).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const closedAt = performance.now();
    await board.close();
    expect(performance.now() - closedAt).toBeLessThan(1_000);
    board.tell(open("a"));
    process.off("warning", hear);
    expect(warnings).toEqual([]);
  });
});

it("works in a cluster", async () => {
  await using servers = await startRedisCluster();
  const client = new Cluster(servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port })));
  client.on("error", () => {});
  const [one, two] = [join({ client }), join({ client })];
  await meet(one, two);
  one.board.tell(open("a"));
  await hears(two, ["open a"]);
  await Promise.all([one, two].map(({ board }) => board.close()));
  client.disconnect();
}, 60_000);
