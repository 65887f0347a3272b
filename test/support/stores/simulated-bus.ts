import type { Bus, BusListener, Invalidation, Position } from "../../../src/stores/bus.ts";

/** The order of all invalidations, as one server keeps it. */
export class SimulatedLog {
  readonly invalidations: Invalidation[] = [];
  readonly #buses = new Set<SimulatedBus>();
  readonly epoch = "one";

  append(invalidation: Invalidation): void {
    this.invalidations.push(invalidation);
    for (const bus of this.#buses) setImmediate(() => bus.catchUp());
  }

  join(bus: SimulatedBus): void {
    this.#buses.add(bus);
  }

  leave(bus: SimulatedBus): void {
    this.#buses.delete(bus);
  }
}

/** One process's place at the log: it hears and tells in order, and catches up after it was cut. */
export class SimulatedBus implements Bus {
  readonly #log: SimulatedLog;
  #outbox: { invalidation: Invalidation; told(): void }[] = [];
  #listener: BusListener | undefined;
  #connected: boolean;
  position: Position | undefined;
  /** How often it had to say that it did not know what it had missed. */
  losses = 0;

  constructor(log: SimulatedLog, connected: boolean) {
    this.#log = log;
    this.#connected = connected;
    log.join(this);
  }

  get isCurrent(): boolean {
    return this.#connected;
  }

  /** Whether nothing waits to be told, and all that was told was heard. */
  get isUpToDate(): boolean {
    return this.#outbox.length === 0 && this.position?.seq === this.#log.invalidations.length;
  }

  cut(): void {
    this.#connected = false;
  }

  heal(): void {
    this.#connected = true;
    this.#tell();
    this.catchUp();
  }

  start(listener: BusListener, since?: Position): void {
    this.#listener = listener;
    this.position = since;
    this.catchUp();
  }

  async publish(invalidation: Invalidation, timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
    const told = new Promise<void>((resolve) => this.#outbox.push({ invalidation, told: resolve }));
    this.#tell();
    await Promise.race([told, late]);
    clearTimeout(timer);
  }

  catchUp(): void {
    const { epoch, invalidations } = this.#log;
    if (!this.#connected || !this.#listener) return;
    if (!this.position) {
      const end = { epoch, seq: invalidations.length };
      this.losses += 1;
      this.#listener.lost(end);
      this.position = end;
    }
    while (this.position.seq < invalidations.length) {
      const next: Position = { epoch, seq: this.position.seq + 1 };
      this.#listener.invalidated(invalidations[this.position.seq] as Invalidation, next, 0);
      this.position = next;
    }
  }

  subscribe(): () => void {
    return () => {};
  }

  async close(): Promise<void> {
    this.#log.leave(this);
    this.#connected = false;
  }

  #tell(): void {
    if (!this.#connected) return;
    for (const { invalidation, told } of this.#outbox.splice(0)) {
      this.#log.append(invalidation);
      told();
    }
  }
}
