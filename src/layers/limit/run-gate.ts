import type { Clock } from "../../core/clock.ts";
import { NO_WISHES } from "../../core/control.ts";
import type { Usage } from "../../core/facts.ts";
import type { RequestEstimate } from "../../core/layer.ts";
import type { Gate } from "../../core/runs.ts";
import { Sweeper } from "../../core/sweeper.ts";
import type { Limiter, Permit } from "../../limits/limiter.ts";
import type { CountedDemand, Demands } from "./demand.ts";
import { endOf } from "./end.ts";

export interface RunGateOptions {
  readonly limiter: Limiter;
  readonly demands: Demands;
  readonly clock: Clock;
  /** A run that says nothing for this long has been left, milliseconds. */
  readonly silentMs: number;
}

interface EnteredRun {
  readonly permit: Permit;
  readonly asked: CountedDemand;
  heardAt: number;
}

/** Holds back runs that are only listened to, by their callbacks: nothing of them is wrapped. */
export class RunGate implements Gate {
  readonly #options: RunGateOptions;
  readonly #runs = new Map<string, EnteredRun>();
  readonly #sweeper: Sweeper;

  constructor(options: RunGateOptions) {
    this.#options = options;
    this.#sweeper = new Sweeper(options.silentMs, () => this.#sweep());
  }

  /** @throws what `Limiter.acquire` throws: then the run must not start */
  async enter(runId: string, estimate: RequestEstimate): Promise<void> {
    const { limiter, demands, clock } = this.#options;
    const asked = await demands.demand(estimate, NO_WISHES, clock.elapsed());
    this.#runs.set(runId, { permit: await limiter.acquire(asked.demand), asked, heardAt: clock.elapsed() });
    this.#sweeper.start();
  }

  /** The run goes on. */
  heard(runId: string): void {
    const run = this.#runs.get(runId);
    if (run) run.heardAt = this.#options.clock.elapsed();
  }

  ended(runId: string, usage: Usage | undefined, error?: unknown): void {
    const run = this.#runs.get(runId);
    if (!run) return;
    this.#delete(runId);
    const taken = usage ? this.#options.demands.taken(run.asked, usage) : {};
    run.permit.release({ ...taken, end: error === undefined ? "ok" : endOf(error) });
  }

  /** Nobody tells of a stream that its reader has dropped. */
  #sweep(): void {
    const { clock, silentMs } = this.#options;
    const now = clock.elapsed();
    for (const [runId, { permit, heardAt }] of this.#runs) {
      if (now - heardAt < silentMs) continue;
      this.#delete(runId);
      permit.release({ end: "left" });
    }
  }

  #delete(runId: string): void {
    this.#runs.delete(runId);
    if (this.#runs.size === 0) this.#sweeper.stop();
  }
}
