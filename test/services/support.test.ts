import { describe, expect, it, vi } from "vitest";
import { eventually, sharedMemcached, sharedRedis } from "../support/services.ts";
import { programPath } from "../support/services/binary.ts";
import { withLock } from "../support/services/lock.ts";

describe("eventually", () => {
  it("asks until the probe neither throws nor gives something falsy", async () => {
    const answers = [() => 0, () => Promise.reject(new Error("not yet")), () => "there"];
    expect(await eventually(() => answers.shift()?.() ?? "asked too often", { intervalMs: 1 })).toBe("there");
  });

  it("names at the deadline what the last probe gave, threw, or that it hangs", async () => {
    const options = { timeoutMs: 30, intervalMs: 5 };
    await expect(eventually(() => "", options)).rejects.toThrow("within 30 ms: the last probe gave ''");
    await expect(eventually(() => Promise.reject(new Error("closed")), options)).rejects.toThrow(/the last probe threw Error: closed/);
    await expect(eventually(() => new Promise<never>(() => {}), options)).rejects.toThrow("the last probe did not answer");
  });
});

describe("withLock", () => {
  it("lets one at a time in, and the next one even when the action fails", async () => {
    const name = `test-${process.pid}`;
    const order: string[] = [];
    const action = (label: string) => async (): Promise<void> => {
      order.push(`${label} in`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${label} out`);
      if (label === "first") throw new Error("failed");
    };
    const results = await Promise.allSettled([withLock(name, action("first")), withLock(name, action("second"))]);
    expect(order).toEqual(["first in", "first out", "second in", "second out"]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });
});

describe("programPath", () => {
  it("says in one line what to install or to set where it cannot install", async () => {
    const getuid = vi.spyOn(process, "getuid").mockReturnValue(1000);
    try {
      const missing = programPath({ names: ["no-such-server"], debian: "no-such-package", variable: "NO_SUCH_URL" });
      await expect(missing).rejects.toThrow(/^no-such-server is not on the PATH: install no-such-package or set NO_SUCH_URL\.$/);
    } finally {
      getuid.mockRestore();
    }
  });
});

describe("a shared server", () => {
  it("is the one of the environment where there is one, which nobody stops", async () => {
    vi.stubEnv("REDIS_URL", "redis://example.invalid:1");
    vi.stubEnv("MEMCACHED_URL", "memcached://example.invalid:2");
    const redis = await sharedRedis();
    await redis.stop();
    expect(redis.url).toBe("redis://example.invalid:1");
    expect((await sharedMemcached()).url).toBe("example.invalid:2");
    vi.unstubAllEnvs();
  });

  it("is else started once for all who ask", async () => {
    vi.stubEnv("MEMCACHED_URL", undefined);
    const [one, other] = await Promise.all([sharedMemcached(), sharedMemcached()]);
    expect(one.url).toBe(other.url);
    await one.stop();
    vi.unstubAllEnvs();
  });
});
