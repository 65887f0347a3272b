import type { Alarm } from "../../src/core/clock.ts";
import { noticeOf } from "../../src/limits/notice.ts";
import type { AnnouncedLimiter } from "../../src/limits/announced.ts";
import type { Demand, QuotaNotice } from "../../src/limits/limiter.ts";
import { RateLimits, type LimitOptions } from "../../src/testing/rate-limits.ts";

interface Event {
  readonly at: number;
  readonly work: () => void;
}

/** Time that passes when it is told to, with everything that was due in it. */
export class World implements Alarm {
  readonly #events = new Set<Event>();
  #now = 0;

  now(): number {
    return Date.UTC(2026, 0, 1) + this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(delayMs: number, work: () => void): () => void {
    const event = { at: this.#now + Math.max(0, delayMs), work };
    this.#events.add(event);
    return () => void this.#events.delete(event);
  }

  get alarms(): number {
    return this.#events.size;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  async pass(durationMs: number): Promise<void> {
    const until = this.#now + durationMs;
    await settle();
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at);
      this.#events.delete(next);
      next.work();
      await settle();
    }
    this.#now = until;
  }

  #next(until: number): Event | undefined {
    let first: Event | undefined;
    for (const event of this.#events) if (event.at <= until && (!first || event.at < first.at)) first = event;
    return first;
  }
}

/** Everything that promises have to do now. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** How a provider of a world behaves. */
export interface ProviderOptions {
  readonly limits: LimitOptions;
  readonly latencyMs: () => number;
  /** @default "openai"; `none` tells nothing, not even when to come back */
  readonly headers?: "openai" | "anthropic" | "none";
  /** Whether headers show the moment of the answer rather than that of admission. @default false */
  readonly late?: boolean;
}

/** A provider with limits in a world. */
export class SimulatedProvider {
  readonly #world: World;
  readonly #options: ProviderOptions;
  readonly #limits: RateLimits;
  answered = 0;
  answeredTokens = 0;
  refused = 0;

  constructor(world: World, options: ProviderOptions) {
    this.#world = world;
    this.#options = options;
    this.#limits = new RateLimits(options.limits, () => world.elapsed());
  }

  /** One request with a few milliseconds on the way, so that requests overtake each other. @returns what the response says */
  async ask(promptTokens: number, answerTokens: number, wayMs: number): Promise<{ status: number; notice: QuotaNotice | undefined }> {
    await this.#world.sleep(wayMs);
    const refusal = this.#limits.admit(promptTokens);
    if (refusal) {
      this.refused += 1;
      return { status: 429, notice: this.#notice(429, Number.isFinite(refusal.retryAfterMs) ? { "retry-after-ms": String(Math.ceil(refusal.retryAfterMs)) } : {}) };
    }
    this.#limits.spend(answerTokens);
    const early = this.#notice(200, {});
    await this.#world.sleep(this.#options.latencyMs());
    this.answered += 1;
    this.answeredTokens += promptTokens + answerTokens;
    return { status: 200, notice: this.#options.late ? this.#notice(200, {}) : early };
  }

  #notice(status: number, more: Record<string, string>): QuotaNotice | undefined {
    const { headers = "openai" } = this.#options;
    const told = headers === "none" ? {} : { ...this.#limits.headers(headers), ...more };
    return noticeOf(status, new Map(Object.entries(told)), headers === "anthropic" ? Date.now() : this.#world.now());
  }
}

/** Asks through a limiter once. @returns the status */
export async function askThrough(
  limiter: AnnouncedLimiter, provider: SimulatedProvider, { prompt, answer, wayMs, demand }: { prompt: number; answer: number; wayMs: number; demand: Demand },
): Promise<number> {
  const permit = await limiter.acquire(demand);
  permit.sent();
  const { status, notice } = await provider.ask(prompt, answer, wayMs);
  permit.heard(notice);
  permit.release({ tokens: status === 200 ? prompt + answer : undefined, end: status === 200 ? "ok" : "overloaded" });
  return status;
}
