import { describe, expect, it } from "vitest";
import { S3FifoPolicy } from "../../src/stores/memory-s3-fifo.ts";

const entry = (sizeBytes = 1) => ({ sizeBytes });

/** A policy that holds these, the first set first. */
function holding(...keys: string[]): S3FifoPolicy<{ sizeBytes: number }> {
  const policy = new S3FifoPolicy<{ sizeBytes: number }>();
  for (const key of keys) policy.set(key, entry());
  return policy;
}

function use(policy: S3FifoPolicy<{ sizeBytes: number }>, key: string, times: number): void {
  for (let time = 0; time < times; time++) policy.get(key);
}

/** What would go, in order. */
function evicted(policy: S3FifoPolicy<{ sizeBytes: number }>): string[] {
  const keys: string[] = [];
  for (let key = policy.evict(); key !== undefined; key = policy.evict()) keys.push(key);
  return keys;
}

describe("S3FifoPolicy", () => {
  it("lets newcomers go in the order in which they came, one use or none", () => {
    const policy = holding("a", "b", "c");
    use(policy, "a", 1);
    expect(evicted(policy)).toEqual(["a", "b", "c"]);
    expect(policy.sizeBytes).toBe(0);
  });

  it("keeps a newcomer that was used twice beyond those that were not", () => {
    const policy = holding("a", "b", "c");
    use(policy, "a", 2);
    expect(evicted(policy)).toEqual(["b", "c", "a"]);
  });

  it("does not count peeking and listing as uses", () => {
    const policy = holding("a", "b");
    for (let time = 0; time < 5; time++) {
      expect(policy.peek("a")).toEqual(entry());
      expect([...policy.entries()].length).toBe(2);
    }
    expect(evicted(policy)).toEqual(["a", "b"]);
  });

  it("keeps place and uses of an entry that is set anew", () => {
    const policy = holding("a", "b", "c");
    use(policy, "b", 2);
    policy.set("a", entry(3));
    policy.set("b", entry(5));
    expect(policy.sizeBytes).toBe(9);
    expect(evicted(policy)).toEqual(["a", "c", "b"]);
  });

  it("gives what comes back soon after it had to go a place in the main queue", () => {
    const policy = holding("a", "b", "c", "d");
    policy.evict();
    policy.set("a", entry());
    policy.set("e", entry());
    expect(evicted(policy)).toEqual(["b", "c", "d", "e", "a"]);
  });

  it("treats what had to leave the main queue as new when it comes back", () => {
    const policy = holding("a", "b");
    for (const key of ["a", "b"]) use(policy, key, 2);
    expect(policy.evict()).toBe("a");
    policy.set("a", entry());
    policy.set("c", entry());
    expect(evicted(policy)).toEqual(["a", "c", "b"]);
  });

  it("treats what was deleted or cleared as new when it comes back", () => {
    const policy = holding("a", "b");
    policy.delete("a");
    policy.set("a", entry());
    expect(evicted(policy)).toEqual(["b", "a"]);
    policy.clear();
    for (const key of ["a", "never seen"]) policy.set(key, entry());
    expect(evicted(policy)).toEqual(["a", "never seen"]);
  });

  it("forgets the keys of those that left long ago", () => {
    const policy = holding("a", "b", "c", "d");
    for (let number = 0; number < 10; number++) {
      policy.evict();
      policy.set(String(number), entry());
    }
    policy.set("a", entry());
    policy.set("new", entry());
    expect(evicted(policy)).toEqual(["6", "7", "8", "9", "a", "new"]);
  });

  it("gives reused entries of the main queue as many more rounds as they were reused", () => {
    const policy = holding("a", "b");
    for (const key of ["a", "b"]) use(policy, key, 2);
    // Both move on to the main queue, where their uses count anew; "c" is the first to go.
    policy.set("c", entry());
    expect(policy.evict()).toBe("c");
    use(policy, "a", 2);
    use(policy, "b", 1);
    policy.set("d", entry());
    expect(policy.evict()).toBe("d");
    expect(evicted(policy)).toEqual(["b", "a"]);
  });

  it("counts up to three reuses", () => {
    const policy = holding("a", "b");
    for (const key of ["a", "b"]) use(policy, key, 2);
    policy.set("c", entry());
    policy.evict();
    use(policy, "a", 10);
    use(policy, "b", 3);
    expect(evicted(policy)).toEqual(["a", "b"]);
  });

  it("takes from the main queue as long as newcomers hold less than a tenth", () => {
    const policy = holding(...Array.from({ length: 20 }, (_, number) => `old ${number}`));
    for (let number = 0; number < 20; number++) use(policy, `old ${number}`, 2);
    policy.set("new", entry());
    // All old ones move on to the main queue, and of these the first goes: the newcomer holds but a twenty-first.
    policy.evict();
    expect(policy.peek("new")).toBeDefined();
    expect(policy.peek("old 0")).toBeUndefined();
  });

  it("does not let a scan of keys that are asked for once push out what is reused", () => {
    const policy = holding("reused");
    use(policy, "reused", 2);
    for (let number = 0; number < 1_000; number++) {
      policy.set(String(number), entry());
      if (policy.entryCount > 10) policy.evict();
      // Found every time, and so is reused more often than it is passed over.
      if (number % 50 === 0) expect(policy.get("reused")).toBeDefined();
    }
  });
});
