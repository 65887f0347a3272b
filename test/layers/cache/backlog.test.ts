import { describe, expect, it, vi } from "vitest";
import { Backlog } from "../../../src/layers/cache/backlog.ts";
import type { PendingWrite } from "../../../src/layers/cache/backlog.ts";

function write(labels: readonly string[] = [], sizeBytes = 1): PendingWrite {
  return { labels, sizeBytes, since: Date.now(), isInvalid: () => false, seal: () => undefined };
}

const tagged = (label: string): { groups: string[][] } => ({ groups: [[label]] });

describe("writes that wait", () => {
  it("are bounded by count: the oldest give way, and are counted", () => {
    const backlog = new Backlog();
    for (let at = 0; at < 50_003; at += 1) backlog.add(`key ${at}`, write());
    expect(backlog.size).toBe(50_000);
    expect(backlog.dropped).toBe(3);
    expect(backlog.write("key 2")).toBeUndefined();
    expect(backlog.write("key 3")).toBeDefined();
  });

  it("are bounded by bytes, of which those that left count no more", () => {
    const backlog = new Backlog();
    const half = 64 * 1024 * 1024;
    backlog.add("a", write([], half));
    backlog.add("a", write([], half));
    backlog.add("b", write([], half));
    expect(backlog.dropped).toBe(0);
    expect(backlog.take(1).map(([key]) => key)).toEqual(["a"]);
    backlog.add("c", write([], half));
    expect(backlog.dropped).toBe(0);
    backlog.add("d", write([], 1));
    expect(backlog.dropped).toBe(1);
    expect(backlog.write("b")).toBeUndefined();
  });

  it("are one for each key, the last", () => {
    const backlog = new Backlog();
    const [older, newer] = [write(), write()];
    backlog.add("a", older);
    backlog.add("a", newer);
    expect(backlog.take(10)).toEqual([["a", newer]]);
    expect(backlog.size).toBe(0);
  });

  it("come back when they failed, but not over a newer one", () => {
    const backlog = new Backlog();
    const [older, newer] = [write(), write()];
    backlog.putBack("a", older);
    expect(backlog.write("a")).toBe(older);
    backlog.add("b", newer);
    backlog.putBack("b", older);
    expect(backlog.write("b")).toBe(newer);
  });

  it("do not come back when they were invalidated meanwhile", () => {
    const backlog = new Backlog();
    void backlog.erase(tagged("x"));
    backlog.putBack("a", write(["x"]));
    backlog.putBack("b", write(["y"]));
    expect([backlog.write("a"), backlog.write("b")?.labels]).toEqual([undefined, ["y"]]);
  });

  it("are given up after ten minutes", () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      const backlog = new Backlog();
      const [long, longer] = [write(), write()];
      vi.advanceTimersByTime(600_000);
      backlog.putBack("a", long);
      expect([backlog.size, backlog.dropped]).toEqual([1, 0]);
      vi.advanceTimersByTime(1);
      backlog.putBack("b", longer);
      expect([backlog.size, backlog.dropped]).toEqual([1, 1]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("erasures that wait", () => {
  it("take the writes with them that they are about", () => {
    const backlog = new Backlog();
    backlog.add("a", write(["x", "y"]));
    backlog.add("b", write(["x"]));
    backlog.add("c", write(["y"]));
    void backlog.erase({ groups: [["x"], ["y", "z"]] });
    void backlog.erase({ groups: [], key: "c" });
    expect(backlog.take(10).map(([key]) => key)).toEqual(["b"]);
  });

  it("say how many entries there were, or nothing when nobody waits any longer", async () => {
    const backlog = new Backlog();
    const counts = [backlog.erase(tagged("x")), backlog.erase(tagged("y"))];
    backlog.erased(backlog.erasures[0]!, 3);
    backlog.settle();
    expect(await Promise.all(counts)).toEqual([3, 0]);
    expect(backlog.erasures).toHaveLength(1);
  });

  it("become one of everything when there are too many", async () => {
    const backlog = new Backlog();
    const first = backlog.erase(tagged("label 0"));
    for (let at = 1; at < 10_000; at += 1) void backlog.erase(tagged(`label ${at}`));
    expect(backlog.erasures).toHaveLength(10_000);
    backlog.add("kept since", write(["other"]));
    void backlog.erase(tagged("one more"));
    expect(backlog.erasures.map(({ invalidation }) => invalidation)).toEqual([{ all: true }]);
    expect(await first).toBe(0);
    expect(backlog.write("kept since")).toBeDefined();
  });

  it("of everything replace those before them", () => {
    const backlog = new Backlog();
    void backlog.erase(tagged("x"));
    void backlog.erase({ all: true });
    void backlog.erase(tagged("y"));
    expect(backlog.erasures.map(({ invalidation }) => invalidation)).toEqual([{ all: true }, tagged("y")]);
  });
});

it("an abandoned backlog is empty, and nobody waits for it", async () => {
  const backlog = new Backlog();
  backlog.add("a", write());
  const count = backlog.erase(tagged("x"));
  backlog.abandon();
  expect(await count).toBe(0);
  expect(backlog.size).toBe(0);
});
