import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { FigureSpec } from "../../bench/harness/bench.ts";
import { quartiles } from "../../bench/harness/quartiles.ts";
import { jsonLine, table } from "../../bench/harness/report.ts";

const RUN = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));

function bench(...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [RUN, ...args], { encoding: "utf8" });
  return { status, stderr };
}

describe("npm run bench", () => {
  it("lists the benches when none is named", () => {
    const { status, stderr } = bench();
    expect(status).toBe(2);
    expect(stderr).toMatch(/^Usage: npm run bench -- <name>/);
    expect(stderr).toContain("Benches: cache, limits, overhead");
  });

  it.each([
    [["nonsense"], 'There is no bench "nonsense".'],
    [["overhead", "nonsense"], 'One bench at a time; what is "nonsense"?'],
    [["overhead", "--nonsense"], "Unknown option '--nonsense'"],
    [["overhead", "--filter", "nonsense"], 'Bench "overhead" has no figure like "nonsense".'],
  ])("refuses %j", (args, problem) => {
    const { status, stderr } = bench(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(problem);
    expect(stderr).toContain("Usage: npm run bench");
  });
});

describe("a report", () => {
  const row = (name: string, spec: Omit<FigureSpec, "about">, value: number) => ({ name, spec: { about: "what it is", ...spec }, measured: { value, note: "details" } });

  it("says of each figure whether its bound is met", () => {
    const lines = table([row("fast", { unit: "×", atMost: 1.15 }, 1.1), row("slow", { unit: "×", atMost: 1.15 }, 1.2), row("calls", { unit: "calls", exactly: 1 }, 2), row("free", { unit: "bytes" }, 5), row("often", { unit: "", atLeast: 0.6 }, 0.6), row("rarely", { unit: "", atLeast: 0.6 }, 0.59)]).split("\n");
    const verdict = (name: string): string[] => lines.find((line) => line.startsWith(name))?.trim().split(/\s{2,}/) ?? [];
    expect(verdict("fast")).toEqual(["fast", "1.1", "×", "≤ 1.15", "yes"]);
    expect(verdict("slow")).toEqual(["slow", "1.2", "×", "≤ 1.15", "no"]);
    expect(verdict("calls")).toEqual(["calls", "2", "calls", "= 1", "no"]);
    expect(verdict("often")).toEqual(["often", "0.6", "≥ 0.6", "yes"]);
    expect(verdict("rarely")).toEqual(["rarely", "0.59", "≥ 0.6", "no"]);
    expect(verdict("free")).toEqual(["free", "5", "bytes"]);
    expect(lines).toContain("slow: what it is (details)");
  });

  it("gives programs one line with every figure", () => {
    expect(JSON.parse(jsonLine("overhead", [row("a", { unit: "×" }, 1.234567), row("b", { unit: "bytes" }, -4003000)]))).toEqual({ bench: "overhead", figures: { a: 1.235, b: -4003000 } });
  });
});

it("takes medians and quartiles", () => {
  expect(quartiles([5, 1, 3, 2, 4])).toEqual({ low: 2, median: 3, high: 4 });
  expect(quartiles([1, 2, 3, 10])).toEqual({ low: 1.75, median: 2.5, high: 4.75 });
});
