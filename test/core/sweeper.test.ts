import { setImmediate as turn } from "node:timers/promises";
import { createPerf, withPerf } from "langchain-perf";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Sweeper } from "../../src/core/sweeper.ts";
import { ScriptedChat, textChunks } from "../layers/support/scripted-chat.ts";

afterEach(() => void vi.useRealTimers());

describe("a sweeper", () => {
  it("sweeps four times in the time that is too long, however often it is started, until it is stopped", () => {
    vi.useFakeTimers();
    const sweep = vi.fn<() => void>();
    const sweeper = new Sweeper(400, sweep);
    sweeper.start();
    vi.advanceTimersByTime(50);
    sweeper.start();
    vi.advanceTimersByTime(350);
    expect(sweep).toHaveBeenCalledTimes(4);
    sweeper.stop();
    expect(vi.getTimerCount()).toBe(0);
    sweeper.start();
    vi.advanceTimersByTime(100);
    expect(sweep).toHaveBeenCalledTimes(5);
    sweeper.stop();
  });

  it("sweeps at most every 10 ms, and never where nothing is too long", () => {
    vi.useFakeTimers();
    const sweep = vi.fn<() => void>();
    const sweeper = new Sweeper(1, sweep);
    sweeper.start();
    vi.advanceTimersByTime(100);
    sweeper.stop();
    expect(sweep).toHaveBeenCalledTimes(10);
    new Sweeper(Infinity, sweep).start();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("has no timer that overflows, for streams and for runs that are listened to, where idleConsumerMs is longer than timers can count", async () => {
    const warnings: string[] = [];
    const hear = ({ name }: Error): void => void warnings.push(name);
    process.on("warning", hear);
    try {
      const model = new ScriptedChat({ stream: () => textChunks(["one ", "two"]) });
      const perf = createPerf({ rateLimit: {}, timeouts: { idleConsumerMs: 1e12 } });
      for await (const _ of await withPerf(model, perf).stream("wrapped")) await turn();
      for await (const _ of await model.stream("listened to", { callbacks: [perf.handler] })) await turn();
      await turn();
    } finally {
      process.off("warning", hear);
    }
    expect(warnings).not.toContain("TimeoutOverflowWarning");
  });
});
