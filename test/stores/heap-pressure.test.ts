import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { HeapPressure } from "../../src/stores/heap-pressure.ts";

const MIB = 1024 * 1024;

/** A heap of 100 bytes and a clock, both set by hand. */
function setting() {
  const state = { usedBytes: 50, now: 0, looks: 0 };
  const read = () => {
    state.looks += 1;
    return { usedBytes: state.usedBytes, limitBytes: 100 };
  };
  const pressure = new HeapPressure({ read, clock: { now: () => 0, elapsed: () => state.now } });
  /** What may be held, at another look. */
  const roomAt = (usedBytes: number, heldBytes: number, laterMs = 250): number => {
    state.usedBytes = usedBytes;
    state.now += laterMs;
    return pressure.roomBytes(1, heldBytes);
  };
  return { pressure, state, roomAt };
}

describe("HeapPressure", () => {
  it("bounds nothing while the heap has room", () => {
    const { roomAt } = setting();
    expect(roomAt(84, 40 * MIB)).toBe(Infinity);
  });

  it("halves what is held when the heap runs short, and again when that brings nothing", () => {
    const { roomAt } = setting();
    expect(roomAt(85, 40 * MIB)).toBe(20 * MIB);
    // What was let go of may not have been collected yet.
    expect(roomAt(86, 20 * MIB)).toBe(20 * MIB);
    expect(roomAt(86, 20 * MIB)).toBe(20 * MIB);
    expect(roomAt(86, 20 * MIB, 500)).toBe(10 * MIB);
    expect(roomAt(90, 10 * MIB)).toBe(10 * MIB);
    expect(roomAt(91, 10 * MIB)).toBe(5 * MIB);
  });

  it("gives room back step by step once the heap has plenty", () => {
    const { roomAt } = setting();
    roomAt(85, 40 * MIB);
    expect(roomAt(75, 20 * MIB, 5_000)).toBe(20 * MIB);
    expect(roomAt(69, 20 * MIB)).toBe(25 * MIB);
    expect(roomAt(69, 25 * MIB)).toBe(25 * MIB);
    expect(roomAt(69, 25 * MIB, 1_000)).toBe(31.25 * MIB);
    // Short again: at once, although the last step up was just now.
    expect(roomAt(85, 30 * MIB)).toBe(15 * MIB);
  });

  it("gives room back to a tier that had to let go of everything", () => {
    const { roomAt } = setting();
    expect(roomAt(99, 0)).toBe(0);
    expect(roomAt(50, 0, 1_000)).toBe(MIB);
  });

  it("looks at the heap now and then, by time and by bytes", () => {
    const { pressure, state } = setting();
    for (let set = 0; set < 1_000; set++) pressure.roomBytes(100, 0);
    expect(state.looks).toBe(0);
    state.now = 250;
    for (let set = 0; set < 1_000; set++) pressure.roomBytes(100, 0);
    expect(state.looks).toBe(1);
    pressure.roomBytes(MIB, 0);
    expect(state.looks).toBe(2);
  });
});

describe("a memory tier with more room than the process has heap", () => {
  const LIMIT = "--max-old-space-size=64";
  const filled = (how: string, { flags = [] as string[], options = "" }) => {
    const program = fileURLToPath(new URL("./fixtures/filling-memory.ts", import.meta.url));
    return spawnSync(process.execPath, [...flags, program, how], { encoding: "utf8", env: { ...process.env, NODE_OPTIONS: options } });
  };

  it("kills the process when it does not heed the heap", () => {
    const { status, stderr } = filled("heedless", { flags: [LIMIT] });
    expect(status).not.toBe(0);
    expect(stderr).toContain("JavaScript heap out of memory");
  });

  it.each([
    ["its command line", { flags: [LIMIT] }],
    ["NODE_OPTIONS", { options: LIMIT }],
  ])("lets go of entries when the heap that %s sets runs short, and the process lives", (_, limit) => {
    const { status, stdout, stderr } = filled("heeding", limit);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const { largest, evictions } = JSON.parse(stdout) as Record<string, number>;
    expect(largest).toBeGreaterThan(8 * MIB);
    expect(largest).toBeLessThan(64 * MIB);
    expect(evictions).toBeGreaterThan(0);
  });
});
