import { runInNewContext } from "node:vm";
import { OptionError, createPerf, type PerfOptions } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { NO_WISHES, resolveControl } from "../../src/core/control.ts";
import { OptionReader, resolveWith } from "../../src/core/options.ts";

function refusal(options: unknown): OptionError {
  try {
    createPerf(options as PerfOptions);
  } catch (error) {
    if (OptionError.isInstance(error)) return error as OptionError;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("createPerf refuses", () => {
  it.each<[option: string, options: unknown, wanted: string, got: string]>([
    ["options", null, "an object of options", "null"],
    ["options", 42, "an object of options", "42"],
    ["options", [], "an object of options", "an array of 0"],
    ["cach", { cach: true }, "one of the known options (", "true"],
    ["name", { name: "" }, "a string that is not empty", '""'],
    ["name", { name: 1 }, "a string", "1"],
    ["cache", { cache: "yes" }, "true, false or an object of options", '"yes"'],
    ["cache", { cache: null }, "true, false or an object of options", "null"],
    ["cache.ttl", { cache: { ttl: 5 } }, "ttlMs", "5"],
    ["cache.ttlMs", { cache: { ttlMs: -1 } }, "a number of at least 0", "-1"],
    ["cache.ttlMs", { cache: { ttlMs: "1h" } }, "a number of at least 0", '"1h"'],
    ["cache.ttlMs", { cache: { ttlMs: NaN } }, "a number of at least 0", "NaN"],
    ["cache.namespace", { cache: { namespace: "" } }, "a string that is not empty", '""'],
    ["cache.tenant", { cache: { tenant: "acme" } }, "a function", '"acme"'],
    ["cache.when", { cache: { when: true } }, "a function", "true"],
    ["cache.memory", { cache: { memory: false } }, "memory is the only tier", "false"],
    ["cache.memory", { cache: { memory: 5 } }, "true, false or an object", "5"],
    ["cache.memory.maxBytes", { cache: { memory: { maxBytes: 0 } } }, "a whole number of at least 1", "0"],
    ["cache.memory.maxBytes", { cache: { memory: { maxBytes: 1.5 } } }, "a whole number of at least 1", "1.5"],
    ["cache.memory.maxEntries", { cache: { memory: { maxEntries: "10" } } }, "a whole number of at least 1", '"10"'],
    ["cache.memory.maxEntryBytes", { cache: { memory: { maxEntryBytes: -5 } } }, "a whole number of at least 1", "-5"],
    ["cache.memory.max", { cache: { memory: { max: 5 } } }, "maxEntries", "5"],
    ["cache.kinds", { cache: { kinds: [] } }, "an object of options", "an array of 0"],
    ["cache.kinds.chats", { cache: { kinds: { chats: true } } }, "chat", "true"],
    ["cache.kinds.chat", { cache: { kinds: { chat: 1 } } }, "true, false or an object of options", "1"],
    ["cache.kinds.chat.ttlMs", { cache: { kinds: { chat: { ttlMs: -1 } } } }, "a number of at least 0", "-1"],
    ["cache.kinds.llm.key", { cache: { kinds: { llm: { key: "x" } } } }, "a function", '"x"'],
    ["cache.kinds.embeddings.when", { cache: { kinds: { embeddings: { when: {} } } } }, "a function", "an object with keys []"],
    ["cache.kinds.retriever", { cache: { kinds: { retriever: true } } }, "only when asked for", "true"],
    ["cache.kinds.retriever.id", { cache: { kinds: { retriever: { id: "" } } } }, "a string that is not empty", '""'],
    ["cache.kinds.retriever.keys", { cache: { kinds: { retriever: { keys: 1 } } } }, "id, ttlMs, staleMs, key, when", "1"],
    ["cache.kinds.tool", { cache: { kinds: { tool: true } } }, "only when asked for", "true"],
    ["cache.kinds.tool", { cache: { kinds: { tool: "search" } } }, "object of options", '"search"'],
    ["cache.kinds.tool", { cache: { kinds: { tool: ["a", 1] } } }, "an array of strings", "an array of 2"],
    ["coalesce", { coalesce: "yes" }, "true, false or an object of options", '"yes"'],
    ["trace", { trace: 1 }, "true, false or an object of options", "1"],
    ["trace.captureContent", { trace: { captureContent: "all" } }, "true or false", '"all"'],
    ["trace.redact", { trace: { redact: /x/ } }, "a function", "an object of class RegExp"],
    ["trace.tracer", { trace: { tracer: {} } }, "an object with", "an object with keys []"],
    ["trace.tracers", { trace: { tracers: 1 } }, "captureContent", "1"],
    ["timeouts", { timeouts: 5 }, "an object of options", "5"],
    ["timeouts", { timeouts: true }, "an object of options", "true"],
    ["timeouts.idleConsumerMs", { timeouts: { idleConsumerMs: 0 } }, "a number of at least 1", "0"],
    ["timeouts.idle", { timeouts: { idle: 5 } }, "idleConsumerMs", "5"],
    ["pricing", { pricing: [] }, "an object of prices by model name", "an array of 0"],
    ["pricing.gpt", { pricing: { gpt: 5 } }, "an object of options", "5"],
    ["pricing.gpt.output", { pricing: { gpt: { input: 1 } } }, "USD per million tokens", "undefined"],
    ["pricing.gpt.input", { pricing: { gpt: { input: -1, output: 1 } } }, "a number of at least 0", "-1"],
    ["pricing.gpt.cachedInput", { pricing: { gpt: { input: 1, output: 1, cachedInput: "x" } } }, "a number of at least 0", '"x"'],
    ["pricing.gpt.in", { pricing: { gpt: { input: 1, output: 1, in: 1 } } }, "input, output, cachedInput", "1"],
  ])("%s: %j", (option, options, wanted, got) => {
    const error = refusal(options);
    expect(error.option).toBe(option);
    expect(error.message).toContain(`Option "${option}": wanted `);
    expect(error.message).toContain(wanted);
    expect(error.message).toContain(`got ${got}.`);
    expect(error.code).toBe("PERF_OPTION");
  });
});

describe("createPerf takes", () => {
  it.each<[string, PerfOptions | undefined]>([
    ["nothing", undefined],
    ["an empty object", {}],
    ["explicit undefined", { cache: undefined, coalesce: undefined, name: undefined, trace: undefined, timeouts: undefined, pricing: undefined } as never],
    ["an unknown key that is undefined", { nothing: undefined } as never],
    ["layers that are off", { cache: false, coalesce: false, trace: false }],
    ["every option", {
      name: "n", coalesce: true, trace: { captureContent: true, redact: (text) => text }, timeouts: { idleConsumerMs: 1 }, pricing: { m: { input: 1, output: 2, cachedInput: 0 } },
      cache: {
        memory: { maxBytes: 1, maxEntries: 1, maxEntryBytes: 1 }, ttlMs: 0, namespace: "n", tenant: () => "t", when: () => true,
        kinds: { chat: true, llm: false, embeddings: { id: "e", ttlMs: 1, key: () => 1, when: () => true }, retriever: { id: "r" }, tool: ["a"] },
      },
    }],
    ["no bound", { cache: { memory: { maxBytes: Infinity, maxEntries: Infinity, maxEntryBytes: Infinity }, ttlMs: Infinity }, timeouts: { idleConsumerMs: Infinity } }],
    ["kinds that are off", { cache: { kinds: { retriever: false, tool: false, chat: false } } }],
  ])("%s", async (_name, options) => {
    await using perf = createPerf(options);
    expect(perf.name).toBe(options?.name ?? "perf");
  });
});

describe("OptionReader", () => {
  it("reads each kind of value, and takes undefined as absent", () => {
    const read = new OptionReader("", { n: 1, b: false, s: "x", list: ["a"], word: "up", f: () => 1, o: { log() {} }, r: 7 });
    expect(read.number("n", { default: 5 })).toBe(1);
    expect(read.number("none", { default: 5 })).toBe(5);
    expect(read.boolean("b", true)).toBe(false);
    expect(read.string("s", undefined)).toBe("x");
    expect(read.strings("list")).toEqual(["a"]);
    expect(read.strings("none")).toBeUndefined();
    expect(read.oneOf("word", ["up", "down"], "down")).toBe("up");
    expect(read.function("f")).toBeTypeOf("function");
    expect(read.objectWith("o", ["log"])).toBeTypeOf("object");
    expect(read.raw("r")).toBe(7);
    expect(read.end()).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ["Promise", Promise.resolve({ name: "n" })], ["Map", new Map([["name", "n"]])], ["Set", new Set(["name"])], ["Date", new Date()], ["URL", new URL("http://a/")],
  ])("takes a %s for no options", (name, value) => {
    const refused = (option: string, wanted: string): string => `Option "${option}": wanted ${wanted}, got an object of class ${name}.`;
    expect(() => createPerf(value as PerfOptions)).toThrow(refused("options", "an object of options"));
    expect(() => createPerf({ timeouts: value } as PerfOptions)).toThrow(refused("timeouts", "an object of options"));
    expect(() => createPerf({ cache: value } as PerfOptions)).toThrow(refused("cache", "true, false or an object of options"));
    expect(() => createPerf({ pricing: value } as PerfOptions)).toThrow(refused("pricing", "an object of prices by model name"));
  });

  it("takes plain objects of any realm, and those of a class that have fields", () => {
    class Options {
      readonly n = 7;
    }
    const given = [{ n: 7 }, Object.assign(Object.create(null), { n: 7 }), runInNewContext("({ n: 7 })"), new Options()];
    expect(given.map((raw) => resolveWith("", raw, (read) => read.number("n", { default: 1 })))).toEqual([7, 7, 7, 7]);
    expect([{}, Object.create(null), runInNewContext("({})")].map((raw) => resolveWith("", raw, (read) => read.number("n", { default: 1 })))).toEqual([1, 1, 1]);
  });

  it("copies lists, so that the caller's later changes do not count", () => {
    const tags = ["a"];
    const control = resolveControl({ tags }, NO_WISHES, 0);
    tags.push("b");
    expect(control.tags).toEqual(["a"]);
  });

  it("names bounds on both sides", () => {
    const read = (n: unknown) => resolveWith("load", { n }, (reader) => reader.number("n", { default: 1, min: 0, max: 1 }));
    expect(read(0.5)).toBe(0.5);
    expect(() => read(2)).toThrow('Option "load.n": wanted a number from 0 to 1, got 2.');
    expect(() => resolveWith("", { n: 0 }, (reader) => reader.number("n", { default: 1, above: 0 }))).toThrow('Option "n": wanted a number above 0, got 0.');
    expect(resolveWith("", { n: 1e-300 }, (reader) => reader.number("n", { default: 1, above: 0 }))).toBe(1e-300);
    expect(() => resolveWith("", { n: "x" }, (reader) => reader.number("n", { default: 1 }))).toThrow('Option "n": wanted a number, got "x".');
    expect(() => resolveWith("", { w: "left" }, (reader) => reader.oneOf("w", ["up", "down"], "up"))).toThrow('wanted one of "up", "down", got "left".');
  });

  it("lays a call's wishes over those of the surrounding call", () => {
    const outer = resolveControl({ cache: "refresh", tenant: "a", tags: ["x"], ttlMs: 5, priority: 2, deadlineMs: 100 }, NO_WISHES, 50);
    expect(outer.deadlineAt).toBe(150);
    expect(resolveControl({}, outer, 60)).toEqual(outer);
    expect([10, 200].map((deadlineMs) => resolveControl({ deadlineMs }, outer, 60).deadlineAt)).toEqual([70, 150]);
    expect(resolveControl({ deadlineMs: -5 }, outer, 60).deadlineAt).toBe(55);
    expect(() => resolveControl({ deadlineMs: NaN }, outer, 60)).toThrow('Option "configurable.perf.deadlineMs": wanted a number, got NaN.');
    expect(resolveControl({ cache: "use", tags: ["y"] }, outer, 60)).toMatchObject({ cache: "use", tenant: "a", tags: ["y"], ttlMs: 5 });
  });
});
