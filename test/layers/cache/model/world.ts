import { vi } from "vitest";
import type { InvalidateBy } from "../../../../src/layers/cache/labels.ts";
import type { Health } from "../../../support/stores/faulty-store.ts";
import { settle } from "../../support/gate.ts";
import { Processes, type Process } from "./processes.ts";
import { keyName, type Forgotten } from "./reference.ts";

/** After so long every circuit lets one through. */
const CIRCUIT_MS = 2_100;

/** What happens to the processes and their tiers, and what must hold after it. */
export class World extends Processes {
  async invalidate(process: number, by: InvalidateBy | "all"): Promise<void> {
    const { reference } = this;
    const wasIdle = this.isIdle();
    const forgotten = reference.forget(by, process);
    forgotten.told = !this.severed.has(process);
    for (const serial of forgotten.serials) {
      const { question, tenant } = reference.computed.get(serial)!;
      for (const wanted of this.wanted) wanted.delete(keyName(question, tenant));
    }
    const { cache } = this.processes[process]!.perf;
    await this.drive(by === "all" ? cache.clear() : cache.invalidate(by));
    reference.hear(forgotten, process);
    if (!wasIdle) return;
    for (const at of this.storesOf(process)) {
      for (const key of this.stores[at]!.liveKeys) {
        const serial = this.serialIn(at, key) as number;
        if (forgotten.serials.has(serial) && !reference.computed.get(serial)?.isExcused) this.violations.push(`${JSON.stringify(by)} by process ${process} left ${serial} in store ${at}`);
      }
    }
  }

  make(store: number, health: Exclude<Health, "well">): void {
    this.stores[store % this.stores.length]!.heal();
    this.stores[store % this.stores.length]!.health = health;
  }

  /** It answers again, and nobody knows yet. */
  thaw(store: number): void {
    this.stores[store % this.stores.length]!.heal();
  }

  empty(store: number): void {
    const at = store % this.stores.length;
    this.stores[at]!.empty();
    this.wanted[at]!.clear();
  }

  cut(process: number): void {
    this.processes[process]!.bus.cut();
    this.severed.add(process);
    this.wasCut = true;
  }

  connect(process: number): void {
    this.severed.delete(process);
    this.processes[process]!.bus.heal();
  }

  /** All stores are well again: what waited is delivered. */
  async heal(): Promise<void> {
    for (const store of this.stores) store.heal();
    await settle();
    await vi.advanceTimersByTimeAsync(CIRCUIT_MS);
    for (let round = 0; round < 2; round += 1) for (const { perf } of this.processes) await this.drive(perf.flush());
    for (const [at] of this.processes.entries()) {
      const own = this.local && !this.severed.has(at) ? 1 + at : undefined;
      const left = [...(own === undefined ? [] : this.stores[own]!.liveKeys)].map((key) => this.serialIn(own as number, key) as number);
      for (const serial of left) if (this.reference.dead(at).has(serial) && !this.reference.computed.get(serial)?.isExcused) this.violations.push(`process ${at} left ${serial} in its own store`);
      if (this.tiers(at).some(({ pending }) => pending > 0)) this.violations.push(`process ${at} still has something to deliver: ${JSON.stringify(this.tiers(at))}`);
    }
    for (const [at, wanted] of this.wanted.entries()) {
      for (const [name, { made }] of wanted) {
        const key = this.reference.keys.get(name) as string;
        if (this.reference.isWanted(made) && this.serialIn(at, key) === undefined) this.violations.push(`store ${at} has lost ${made.serial} of ${name}`);
      }
    }
  }

  async restart(process: number): Promise<void> {
    this.releaseThose((ask) => ask.process === process);
    await this.until(() => [...this.asks].every((ask) => ask.process !== process), () => {});
    const { perf } = this.processes[process]!;
    await this.drive(perf.close());
    // What was not delivered is lost: erasures too, so that only those that were told are heard again.
    for (const wanted of this.wanted) for (const [name, one] of wanted) if (one.process === process && this.stores.some(({ health }) => health !== "well")) wanted.delete(name);
    // Nor does it know any more what it was to take for invalid, unless that is gone for good.
    const remembers = !this.wasCut && this.asks.size === 0 && this.isIdle();
    this.reference.restarted(process);
    if (!remembers) this.reference.dead(process).clear();
    if (this.severed.has(process)) this.reference.untold(process);
    this.processes[process] = this.start(process);
    await this.drive(this.processes[process]!.perf.flush());
  }

  release(): void {
    const [first] = [...this.asks].filter(({ gate }) => gate);
    first?.gate?.resolve();
  }

  /** A process that does not know what it missed forgets what it has alone. */
  #lost(process: Process, at: number): void {
    if (process.losses === process.bus.losses) return;
    process.losses = process.bus.losses;
    for (const made of this.reference.computed.values()) made.isExcused ||= made.process === at && made.begunAt > process.startedAt;
    if (this.local) this.wanted[1 + at]!.clear();
    this.reference.restarted(at);
  }

  /** After each command: who is connected has heard of all that was told. */
  async check(): Promise<void> {
    await settle();
    // No two commands at the same time.
    await vi.advanceTimersByTimeAsync(1);
    for (const forgotten of this.reference.forgotten) {
      if (forgotten.told || this.severed.has(forgotten.process)) continue;
      forgotten.told = true;
      this.reference.hear(forgotten, forgotten.process);
    }
    for (const [at, process] of this.processes.entries()) {
      const { bus } = process;
      this.#lost(process, at);
      if (this.severed.has(at)) continue;
      if (!bus.isUpToDate) this.violations.push(`process ${at} is behind`);
      for (const forgotten of this.reference.forgotten) if (forgotten.told) this.#heard(forgotten, at);
    }
    if (this.violations.length > 0) throw new Error(this.violations.join("\n"));
  }

  #heard(forgotten: Forgotten, process: number): void {
    if (forgotten.heard.has(process)) return;
    this.reference.hear(forgotten, process);
    for (const wanted of this.wanted) {
      for (const [name, one] of wanted) if (one.process === process && this.reference.concerns(forgotten.by, one.made)) wanted.delete(name);
    }
  }

  async close(): Promise<void> {
    for (const store of this.stores) store.heal();
    this.releaseThose(() => true);
    await this.until(() => this.asks.size === 0, () => {});
    for (const { perf } of this.processes) await this.drive(perf.close());
  }
}
