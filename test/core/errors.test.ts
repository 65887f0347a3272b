import { describe, expect, it } from "vitest";
import { CacheMissError, DeadlineError, OptionError, PerfError } from "../../src/core/errors.ts";
import { errorFacts, nextCallId } from "../../src/core/facts.ts";

describe("errors", () => {
  it.each<[string, PerfError, string, boolean]>([
    ["OptionError", new OptionError("cache.ttlMs", "a number", "x"), "PERF_OPTION", false],
    ["CacheMissError", new CacheMissError("k"), "PERF_CACHE_MISS", false],
    ["DeadlineError", new DeadlineError("too late"), "PERF_DEADLINE", true],
    ["PerfError", new PerfError("PERF_X", "x", { retryable: true }), "PERF_X", true],
  ])("%s has its name, a code, and says whether to try again", (name, error, code, retryable) => {
    expect(error).toBeInstanceOf(PerfError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name, code, retryable });
    expect(String(error)).toContain(`${name}: `);
  });

  it("are recognised across copies of the package", async () => {
    // A query makes it another module, as a second installation would be.
    const path = "../../src/core/errors.ts?copy=2";
    const copy = (await import(/* @vite-ignore */ path)) as typeof import("../../src/core/errors.ts");
    const error = new copy.CacheMissError("k");
    expect(error instanceof CacheMissError).toBe(false);
    expect(CacheMissError.isInstance(error)).toBe(true);
    expect(PerfError.isInstance(error)).toBe(true);
    expect(OptionError.isInstance(error)).toBe(false);
    expect(copy.CacheMissError.isInstance(new CacheMissError(undefined))).toBe(true);
  });

  it("are not mistaken for anything else", () => {
    for (const other of [undefined, null, "x", {}, new Error("x"), { name: "OptionError", code: "PERF_OPTION" }, Object.assign(new Error("x"), { name: "PerfError" })]) {
      expect(PerfError.isInstance(other)).toBe(false);
      expect(OptionError.isInstance(other)).toBe(false);
    }
  });

  it("keep their cause", () => {
    const cause = new Error("not found");
    expect(new PerfError("PERF_X", "x", { cause }).cause).toBe(cause);
    expect("cause" in new PerfError("PERF_X", "x")).toBe(false);
  });

  it.each<[string, unknown, string]>([
    ["text", "abc", '"abc"'],
    ["long text, cut", "x".repeat(100), `"${"x".repeat(77)}..."`],
    ["a number", 1.5, "1.5"],
    ["NaN", NaN, "NaN"],
    ["null", null, "null"],
    ["nothing", undefined, "undefined"],
    ["a function", function named() {}, "a function (named)"],
    ["a nameless function", (() => () => {})(), "a function"],
    ["an array", [1, 2], "an array of 2"],
    ["an object", { a: 1, b: 2 }, "an object with keys [a, b]"],
    ["an object without a prototype", Object.create(null), "an object with keys []"],
    ["an instance", new Map(), "an object of class Map"],
    ["a symbol", Symbol("s"), "Symbol(s)"],
  ])("show what came: %s", (_name, got, shown) => {
    expect(new OptionError("x", "y", got).message).toBe(`Option "x": wanted y, got ${shown}.`);
  });
});

describe("errorFacts", () => {
  it.each<[string, unknown, { code: string; message: string }]>([
    ["a code", Object.assign(new Error("m"), { code: "ECONNRESET" }), { code: "ECONNRESET", message: "m" }],
    ["a status", Object.assign(new Error("m"), { status: 429 }), { code: "429", message: "m" }],
    ["a code before a status", Object.assign(new Error("m"), { code: "rate_limit", status: 429 }), { code: "rate_limit", message: "m" }],
    ["a code of null", Object.assign(new Error("m"), { code: null, status: 500 }), { code: "500", message: "m" }],
    ["a name", new TypeError("m"), { code: "TypeError", message: "m" }],
    ["an abort", new DOMException("gone", "AbortError"), { code: "AbortError", message: "gone" }],
    ["text", "thrown text", { code: "UNKNOWN", message: "thrown text" }],
    ["nothing", undefined, { code: "UNKNOWN", message: "undefined" }],
    ["an object", { message: "m" }, { code: "UNKNOWN", message: "m" }],
    ["one of ours", new CacheMissError(undefined), { code: "PERF_CACHE_MISS", message: new CacheMissError(undefined).message }],
  ])("groups by %s", (_name, error, facts) => {
    expect(errorFacts(error)).toEqual(facts);
  });

  it("are about calls with ids that are never given twice", () => {
    const ids = Array.from({ length: 1_000 }, nextCallId);
    expect(new Set(ids).size).toBe(1_000);
  });
});
