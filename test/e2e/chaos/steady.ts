import { createPerf, type CallFacts, type Perf, type PerfOptions } from "langchain-perf";
import { expect } from "vitest";
import { eventually } from "../../support/services.ts";

/** A program that asks all the time, and never has a reason to notice what happens to its cache. */
export class Steady {
  readonly perf: Perf;
  readonly facts: CallFacts[] = [];
  readonly #lookUp: (id: string) => Promise<string>;
  readonly #made = new Set<string>();
  #asked = 0;

  constructor(cache: Exclude<PerfOptions["cache"], boolean | undefined>) {
    this.perf = createPerf({ cache: { memory: false, ...cache }, coalesce: true });
    this.perf.on("call", (call) => void this.facts.push(call));
    this.#lookUp = this.perf.cached("look up", async (id: string) => {
      this.#made.add(id);
      return answerTo(id);
    });
  }

  /** Asks about this, and expects the right answer. @returns whether it was the cache's */
  async ask(id: string): Promise<boolean> {
    this.#made.delete(id);
    expect(await this.#lookUp(id)).toBe(answerTo(id));
    return !this.#made.has(id);
  }

  /** Asks about new things, together, each twice. @returns what they were */
  async askAnew(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, () => `thing ${(this.#asked += 1)}`);
    await Promise.all([...ids, ...ids].map((id) => this.#lookUp(id).then((answer) => expect(answer).toBe(answerTo(id)))));
    return ids;
  }

  /** Asks on until the far tier is read and written again, and gives hits of what it has just been given. */
  async usesItsTier(timeoutMs = 15_000): Promise<void> {
    await eventually(
      async () => {
        const [id = ""] = await this.askAnew(1);
        await this.perf.flush();
        // What waits to be written is a hit too.
        return this.#isDelivered && (await this.ask(id));
      },
      { timeoutMs },
    );
  }

  /** Expects hits of all of these, once everything is written. */
  async has(ids: readonly string[], timeoutMs = 15_000): Promise<void> {
    await eventually(() => this.perf.flush().then(() => this.#isDelivered), { timeoutMs });
    for (const id of ids) expect(await this.ask(id), `${id} is in the tier`).toBe(true);
  }

  get #isDelivered(): boolean {
    const [tier] = this.perf.cache.stats().tiers;
    return tier?.circuit === "closed" && tier.pending === 0;
  }

  close(): Promise<void> {
    return this.perf.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Long enough to see what garbles it. */
function answerTo(id: string): string {
  return `The answer to ${id}. `.repeat(20);
}
