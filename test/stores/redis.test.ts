import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it, vi } from "vitest";
import { OptionError } from "../../src/core/errors.ts";
import { RedisConnection, type RedisLike, redisBus, redisStore } from "../../src/stores/redis.ts";
import type { Store, StoredEntry } from "../../src/stores/store.ts";
import { storeContract } from "../../src/testing/store-contract.ts";
import { eventually, faultProxy, freePort, type Server, startRedis } from "../support/services.ts";

let redis: Server;
let admin: Redis;

beforeAll(async () => {
  redis = await startRedis();
  admin = new Redis(redis.url);
});

afterAll(async () => {
  admin.disconnect();
  await redis.stop();
});

function entry(text: string, labels: string[] = []): StoredEntry {
  return { value: Buffer.from(text), labels, expiresAt: Date.now() + 60_000 };
}

async function textOf(store: Store, key: string): Promise<string | undefined> {
  const value = await store.get(key);
  return value && Buffer.from(value).toString();
}

describe("the contract of a store, on a URL", () => {
  const open = (): Store => redisStore({ url: redis.url, keyPrefix: "contract:" });
  for (const { name, run } of storeContract(open, { reopen: open })) it(name, run);
});

describe("the contract of a store, on a user's client with a key prefix of its own", () => {
  let client: Redis;
  beforeAll(() => void (client = new Redis(redis.url, { keyPrefix: "app[*]:" })));
  afterAll(() => client.disconnect());
  const open = (): Store => redisStore(client);
  for (const { name, run } of storeContract(open, { reopen: open })) it(name, run);

  it("keeps everything below both prefixes and leaves the client open", async () => {
    await admin.flushall();
    const store = redisStore(client);
    await store.set("k", entry("v", ["a"]));
    await store.touch?.(new Map([["k", 1]]));
    expect((await admin.keys("*")).toSorted()).toEqual(["app[*]:langchain-perf:e:k", "app[*]:langchain-perf:hot", "app[*]:langchain-perf:l:a"]);
    await store.close();
    expect(await client.ping()).toBe("PONG");
  });
});

describe("what lies in Redis", () => {
  let store: Store;
  beforeAll(() => void (store = redisStore(redis.url)));
  afterAll(() => store.close());

  it("is one string of one command for an entry without labels", async () => {
    await admin.flushall();
    await store.set("warm", entry("up"));
    await admin.config("RESETSTAT");
    await store.set("k", entry("v"));
    expect(await admin.info("commandstats")).toMatch(/cmdstat_set:calls=1,/);
    expect(await admin.info("commandstats")).not.toMatch(/evalsha|zadd/);
    expect(await admin.keys("*:k")).toEqual(["langchain-perf:e:k"]);
  });

  it("is an index that outlives its longest-lived entry and forgets expired ones", async () => {
    await admin.flushall();
    const lasting = (ttlMs: number): StoredEntry => ({ value: Buffer.from("v"), labels: ["a"], expiresAt: Date.now() + ttlMs });
    await store.set("long", lasting(500_000));
    await store.set("short", lasting(1000));
    expect(await admin.pttl("langchain-perf:l:a")).toBeGreaterThan(540_000);
    await store.set("longer", lasting(900_000));
    expect(await admin.pttl("langchain-perf:l:a")).toBeGreaterThan(940_000);
    // As if they had expired more than a minute ago.
    await admin.zadd("langchain-perf:l:a", "1", "dead-1", "2", "dead-2");
    await store.set("third", lasting(1000));
    expect((await admin.zrange("langchain-perf:l:a", "0", "-1")).toSorted()).toEqual(["long", "longer", "short", "third"]);
  });

  it("is a miss or an error where somebody else has written, never their bytes", async () => {
    for (const foreign of ["", "text", "LCP1", "LCP1\xff\xff\xff\xff\x00\x00", "LCP1\x00\x00\x00\x02\x00\x00", "a much longer text of somebody else"]) {
      await admin.set("langchain-perf:e:foreign", Buffer.from(foreign, "latin1"));
      expect(await store.get("foreign")).toBeUndefined();
    }
    await admin.del("langchain-perf:e:foreign");
    await admin.lpush("langchain-perf:e:foreign", "x");
    await expect(store.get("foreign")).rejects.toThrow("WRONGTYPE");
    await store.set("mine", entry("v", ["a"]));
    expect(await store.invalidate([["a"]])).toBeGreaterThan(0);
    expect(await admin.exists("langchain-perf:e:foreign")).toBe(1);
    await store.set("foreign", entry("ours", ["a"]));
    expect(await textOf(store, "foreign")).toBe("ours");
  });

  it("stays in the index of its label when it was written while an invalidation was under way", async () => {
    await using proxy = await faultProxy(redis.port);
    const slow = redisStore(`redis://127.0.0.1:${proxy.port}`);
    await store.clear();
    await store.set("k", entry("old", ["a"]));
    await slow.get("k");
    proxy.delay(100);
    const invalidation = slow.invalidate([["a"]]);
    await eventually(async () => (await store.get("k")) === undefined);
    await store.set("k", entry("new", ["a"]));
    expect(await invalidation).toBe(1);
    expect(await textOf(store, "k")).toBe("new");
    expect(await store.invalidate([["a"]])).toBe(1);
    await slow.close();
  });

  it("is read by header alone when labels are long", async () => {
    await store.clear();
    const labels = Array.from({ length: 40 }, (_unused, index) => `${index}`.padStart(100, "é"));
    await store.set("k", entry("v", labels));
    expect(await store.invalidate([[labels[3] ?? ""], ["none", labels[39] ?? ""]])).toBe(1);
  });

  it("is invalidated to the last of many, page by page", async () => {
    await store.clear();
    const count = 12_000;
    for (let from = 0; from < count; from += 1000) {
      await Promise.all(Array.from({ length: 1000 }, (_unused, index) => store.set(`${from + index}`, entry("v", ["all", index % 2 ? "odd" : "even"]))));
    }
    expect(await store.invalidate([["all"], ["odd"]])).toBe(count / 2);
    expect(await store.stats?.()).toEqual({ entries: count / 2 });
    await store.clear();
    expect(await admin.keys("*")).toEqual([]);
  });

  it("lists the entries that were asked for most, and the ten thousand hottest alone", async () => {
    await store.clear();
    await Promise.all(["a", "b", "c"].map((key) => store.set(key, entry(key))));
    await store.touch?.(new Map([["a", 1], ["b", 5], ["c", 3], ["gone", 9]]));
    await store.touch?.(new Map([["a", 10]]));
    expect(await store.hottest?.(2)).toEqual(["a", "b"]);
    await store.touch?.(new Map(Array.from({ length: 10_100 }, (_unused, index) => [`x${index}`, 20])));
    expect(await admin.zcard("langchain-perf:hot")).toBe(10_000);
  });
});

describe("the connection", () => {
  it("takes what ioredis makes", () => {
    expectTypeOf<Redis>().toExtend<RedisLike>();
    expectTypeOf<Cluster>().toExtend<RedisLike>();
  });

  it("refuses options that do not fit, without showing a password", () => {
    expect(() => redisStore("http://user:secret@localhost")).toThrow(new OptionError("redis", "a URL redis://... or rediss://...", "http"));
    expect(() => redisStore({ url: redis.url, client: admin })).toThrow(OptionError);
    expect(() => redisStore({})).toThrow(OptionError);
    expect(() => redisStore({ url: redis.url, prefix: "x" } as never)).toThrow("one of the known options");
    expect(() => redisBus(redis.url, { heartbeatMs: 1 })).toThrow(OptionError);
  });

  it("fails at once while Redis is away and comes back by itself", async () => {
    await using proxy = await faultProxy(redis.port);
    const store = redisStore(`redis://127.0.0.1:${proxy.port}`);
    await store.set("k", entry("v"));
    proxy.cut();
    await eventually(() => store.get("k").then(() => false, (error: Error) => /^Redis is not connected(: |$)/.test(error.message)));
    proxy.heal();
    await eventually(() => textOf(store, "k"));
    proxy.stall();
    // Nobody answers any more: the connection is given up, and then everything fails at once again.
    await expect(store.get("k")).rejects.toThrow();
    proxy.heal();
    await eventually(() => textOf(store, "k"));
    await store.close();
  });

  it("does not use a Redis below 6 and says so once", async () => {
    const info = "# Server\r\nredis_version:5.0.7\r\nloading:0\r\n";
    const old = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        for (const command of bytes.toString().matchAll(/^(hello|info|client|ping|subscribe)\r\n/gim)) {
          const name = command[1]?.toLowerCase();
          socket.write(name === "info" ? `$${info.length}\r\n${info}\r\n` : name === "hello" ? "-ERR unknown command `HELLO`\r\n" : "+OK\r\n");
        }
      });
    }).listen(0, "127.0.0.1");
    await once(old, "listening");
    const { port } = old.address() as { port: number };
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const connection = new RedisConnection(`redis://127.0.0.1:${port}`);
    const store = redisStore(connection);
    const bus = redisBus(connection);
    bus.start({ invalidated: () => {}, lost: () => {} });
    await expect(store.get("k")).rejects.toThrow("Redis 5.0.7 is not used: version 6 or later is needed");
    await expect(store.set("k", entry("v"))).rejects.toThrow("is not used");
    await bus.publish({ all: true }, 20);
    expect(warning).toHaveBeenCalledExactlyOnceWith("langchain-perf: Redis 5.0.7 is not used: version 6 or later is needed.");
    warning.mockRestore();
    await Promise.all([bus.close(), store.close()]);
    connection.close();
    old.close();
  });

  it("lets the process end while store and bus are idle, and while Redis is away", async () => {
    const lines = (url: string): string[] => [
      `const connection = new RedisConnection("${url}");`,
      "redisBus(connection).start({ invalidated: () => {}, lost: () => {} });",
      `await redisStore(connection).get("nothing").then((value) => console.log("value:", value), (error) => console.log("error:", error.message));`,
    ];
    expect(await run(lines(redis.url))).toBe("value: undefined\n");
    expect(await run(lines("redis://127.0.0.1:1"))).toBe("error: Redis is not connected: connect ECONNREFUSED 127.0.0.1:1\n");
  });

  it("speaks TLS where the URL says rediss", async () => {
    const folder = mkdtempSync(join(tmpdir(), "langchain-perf-tls-"));
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"];
    await promisify(execFile)("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, ...subject]);
    const port = await freePort();
    await using secure = await startRedis({ args: ["--tls-port", `${port}`, "--tls-key-file", key, "--tls-cert-file", certificate, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"] });
    expect(secure.port).not.toBe(port);
    const lines = [`await redisStore("rediss://127.0.0.1:${port}").get("k").then((value) => console.log("value:", value), (error) => console.log(String(error.cause)));`];
    expect(await run(lines, { NODE_EXTRA_CA_CERTS: certificate })).toBe("value: undefined\n");
    expect(await run(lines)).toContain("self-signed certificate");
    rmSync(folder, { recursive: true });
  });

  it("keeps the process while an answer is awaited", async () => {
    expect(await run([`const store = redisStore("${redis.url}");`, `await store.get("first");`, `await store.get("second");`, `console.log("answered");`])).toBe("answered\n");
  });
});

/** What a process of its own prints. It has to end by itself. */
async function run(lines: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<string> {
  const source = new URL("../../src/stores/redis.ts", import.meta.url).href;
  const program = [`import { RedisConnection, redisBus, redisStore } from "${source}";`, ...lines].join("\n");
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module-typescript", "-e", program], { timeout: 10_000, env: { ...process.env, ...environment } });
  return stdout;
}
