import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FailureRateCircuit, type CircuitOptions, type CircuitState, type Passage } from "../../../src/layers/route/circuit.ts";

const OPTIONS: CircuitOptions = { failureRate: 0.5, minCalls: 4, windowMs: 1_000, openMs: 300, halfOpenProbes: 2 };

/** The real thing, its clock, and what it has told. */
class System {
  now: number;
  readonly circuit: FailureRateCircuit;
  readonly told: string[] = [];
  readonly passages: Passage[] = [];

  constructor(options: CircuitOptions = OPTIONS, now = 0) {
    this.now = now;
    this.circuit = new FailureRateCircuit(options, { elapsed: () => this.now }, (from, to) => void this.told.push(`${from} ${to}`));
  }

  enter(): Passage {
    const passage = this.circuit.enter();
    this.passages.push(passage);
    return passage;
  }

  /** So many calls begin and end. */
  calls(...succeeded: boolean[]): this {
    for (const success of succeeded) this.enter().ended(success);
    return this;
  }
}

/** The same, as one would tell it: the whole history is kept, and looked through each time. */
class Model {
  readonly options: CircuitOptions;
  now: number;
  state: CircuitState = "closed";
  told: string[] = [];
  /** What ended while it was closed, since it was last closed. */
  counted: { slice: number; failed: boolean }[] = [];
  openUntil = 0;
  successes = 0;
  /** The number of the passage that tries, and until when the others wait for it. */
  probe: { number: number; until: number } | undefined;
  /** How often it was half-open. */
  trials = 0;
  inARow = 0;
  passages: { probeOf: number | undefined; hasEnded: boolean }[] = [];

  constructor(options: CircuitOptions, now = 0) {
    this.options = options;
    this.now = now;
  }

  become(state: CircuitState): void {
    if (state !== this.state) this.told.push(`${this.state} ${state}`);
    if (state === "half-open" && state !== this.state) this.trials += 1;
    this.state = state;
  }

  /** Its time is up: somebody looks. */
  look(): CircuitState {
    if (this.state === "open" && this.now >= this.openUntil) {
      this.successes = 0;
      this.become("half-open");
    }
    return this.state;
  }

  get waitMs(): number {
    if (this.state === "closed") return 0;
    if (this.state === "open") return Math.max(0, this.openUntil - this.now);
    return this.probe ? Math.max(0, this.probe.until - this.now) : 0;
  }

  get window(): { slice: number; failed: boolean }[] {
    return this.counted.filter(({ slice }) => slice > this.slice - 10);
  }

  get slice(): number {
    return Math.floor((this.now / this.options.windowMs) * 10);
  }

  get failureRate(): number {
    const { window } = this;
    return window.length === 0 ? 0 : window.filter(({ failed }) => failed).length / window.length;
  }

  enter(): void {
    const wasProbe = this.look() !== "closed";
    this.passages.push({ probeOf: wasProbe ? this.trials : undefined, hasEnded: false });
    if (wasProbe) this.probe = { number: this.passages.length - 1, until: this.now + this.options.openMs };
  }

  ended(number: number, succeeded: boolean | undefined): void {
    const passage = this.passages[number]!;
    if (passage.hasEnded) return;
    passage.hasEnded = true;
    if (this.state === "closed") {
      if (passage.probeOf === undefined && succeeded !== undefined) this.count(!succeeded);
    } else if (this.state === "half-open" && passage.probeOf === this.trials) {
      if (this.probe?.number === number) this.probe = undefined;
      if (succeeded === false) this.open();
      else if (succeeded) {
        this.successes += 1;
        if (this.successes === this.options.halfOpenProbes) this.close();
      }
    }
  }

  count(failed: boolean): void {
    this.counted.push({ slice: this.slice, failed });
    this.inARow = failed ? this.inARow + 1 : 0;
    const isRated = this.window.length >= this.options.minCalls && this.failureRate >= this.options.failureRate;
    if (failed && (isRated || this.inARow >= 2 * this.options.minCalls)) this.open();
  }

  open(forMs = this.options.openMs): void {
    this.probe = undefined;
    this.openUntil = this.now + forMs;
    this.become("open");
  }

  close(): void {
    this.counted = [];
    this.inARow = 0;
    this.probe = undefined;
    this.become("closed");
  }
}

class Command implements fc.Command<Model, System> {
  readonly #name: string;
  readonly #run: (model: Model, system: System) => void;
  readonly #check: (model: Model) => boolean;

  constructor(name: string, run: (model: Model, system: System) => void, check: (model: Model) => boolean = () => true) {
    this.#name = name;
    this.#run = run;
    this.#check = check;
  }

  check(model: Readonly<Model>): boolean {
    return this.#check(model);
  }

  run(model: Model, system: System): void {
    this.#run(model, system);
    expect(system.circuit.waitMs).toBe(model.waitMs);
    expect(system.circuit.failureRate).toBe(model.failureRate);
    expect(system.told).toEqual(model.told);
  }

  toString(): string {
    return this.#name;
  }
}

const pass = (ms: number): Command => new Command(`pass(${ms})`, (model, system) => {
  model.now += ms;
  system.now += ms;
});
const enter = new Command("enter", (model, system) => {
  model.enter();
  system.enter();
}, (model) => model.waitMs === 0);
const end = (which: number, succeeded: boolean | undefined): Command => new Command(`end(${which}, ${succeeded})`, (model, system) => {
  const number = which % model.passages.length;
  model.ended(number, succeeded);
  system.passages[number]!.ended(succeeded);
}, (model) => model.passages.length > 0);
/** The one that began last: most calls end before long. */
const endLast = (succeeded: boolean): Command => new Command(`endLast(${succeeded})`, (model, system) => {
  model.ended(model.passages.length - 1, succeeded);
  system.passages.at(-1)!.ended(succeeded);
}, (model) => model.passages.length > 0);
const look = new Command("look", (model, system) => expect(system.circuit.state).toBe(model.look()));
const open = (forMs: number | undefined): Command => new Command(`open(${forMs})`, (model, system) => {
  model.open(forMs);
  system.circuit.open(forMs);
});
const close = new Command("close", (model, system) => {
  model.close();
  system.circuit.close();
});

const options: fc.Arbitrary<CircuitOptions> = fc.record({
  failureRate: fc.constantFrom(0.01, 0.3, 0.5, 1),
  minCalls: fc.integer({ min: 1, max: 5 }),
  windowMs: fc.constantFrom(10, 1_000),
  openMs: fc.constantFrom(50, 300),
  halfOpenProbes: fc.integer({ min: 1, max: 3 }),
});

describe("a circuit", () => {
  it("does what a simple model of it does, and tells of its changes, each once", () => {
    const commands = fc.commands([
      fc.constant(enter), fc.constant(enter), fc.boolean().map(endLast), fc.boolean().map(endLast), fc.constant(look), fc.constant(close),
      fc.tuple(fc.nat(50), fc.constantFrom(true, false, undefined)).map(([which, succeeded]) => end(which, succeeded)),
      fc.oneof(fc.nat(120), fc.constantFrom(1, 50, 100, 299, 300, 1_000)).map(pass),
      fc.constantFrom(undefined, 0, 20, 1_000).map(open),
    ], { maxCommands: 80, size: "max" });
    fc.assert(
      fc.property(options, fc.double({ min: 0, max: 1e6, noNaN: true }), commands, (chosen, now, played) => {
        fc.modelRun(() => ({ model: new Model(chosen, now), real: new System(chosen, now) }), played);
      }),
      { seed: 20_261_129, numRuns: 1_000 },
    );
  });

  it("opens when the share of failures is reached, and not before so many calls have ended", () => {
    const system = new System().calls(false, false, false);
    expect([system.circuit.state, system.circuit.failureRate]).toEqual(["closed", 1]);
    expect(system.calls(false).circuit.state).toBe("open");
    expect(new System().calls(true, true, true, false, false).circuit.state).toBe("closed");
    expect(new System().calls(true, true, true, false, false, false).circuit.state).toBe("open");
  });

  it("forgets what is older than its window, a tenth at a time", () => {
    const system = new System().calls(false, false);
    system.now = 150;
    system.calls(false);
    system.now = 999;
    expect(system.circuit.failureRate).toBe(1);
    system.now = 1_000;
    system.calls(true, true);
    expect(system.circuit.failureRate).toBe(1 / 3);
    system.now = 1_100;
    expect(system.circuit.failureRate).toBe(0);
  });

  it("counts all tenths of its window, also where each has had a call", () => {
    const system = new System({ ...OPTIONS, failureRate: 1 });
    for (let slice = 0; slice < 25; slice += 1) {
      system.now = slice * 100;
      system.calls(slice !== 15);
    }
    expect(system.circuit.failureRate).toBe(1 / 10);
    system.now = 2_500;
    expect(system.circuit.failureRate).toBe(0);
  });

  it("lets one try at a time when its time is up, and closes when enough of them have succeeded", () => {
    const system = new System().calls(false, false, false, false);
    expect(system.circuit.waitMs).toBe(300);
    system.now = 300;
    expect(system.circuit.waitMs).toBe(0);
    const first = system.enter();
    expect([system.circuit.state, system.circuit.waitMs]).toEqual(["half-open", 300]);
    first.ended(true);
    expect([system.circuit.state, system.circuit.waitMs]).toEqual(["half-open", 0]);
    system.calls(true);
    expect(system.circuit.state).toBe("closed");
    expect(system.told).toEqual(["closed open", "open half-open", "half-open closed"]);
  });

  it("opens again with a probe that fails, and takes one of which nothing is known for none", () => {
    const system = new System().calls(false, false, false, false);
    system.now = 300;
    system.enter().ended(undefined);
    expect([system.circuit.state, system.circuit.waitMs]).toEqual(["half-open", 0]);
    system.calls(true, false);
    expect([system.circuit.state, system.circuit.waitMs]).toEqual(["open", 300]);
    system.now = 600;
    expect(system.calls(true).circuit.state).toBe("half-open");
  });

  it("lets another try when a probe takes long, and listens to either", () => {
    for (const isFirst of [true, false]) {
      const system = new System({ ...OPTIONS, halfOpenProbes: 1 }).calls(false, false, false, false);
      system.now = 300;
      const first = system.enter();
      expect(system.circuit.waitMs).toBe(300);
      system.now = 600;
      expect(system.circuit.waitMs).toBe(0);
      const second = system.enter();
      (isFirst ? first : second).ended(true);
      expect(system.circuit.state).toBe("closed");
    }
  });

  it("does not listen to a probe of an earlier time that it was half-open", () => {
    const system = new System({ ...OPTIONS, halfOpenProbes: 1 }).calls(false, false, false, false);
    system.now = 300;
    const early = system.enter();
    system.now = 600;
    system.calls(false);
    system.now = 900;
    expect(system.circuit.state).toBe("half-open");
    early.ended(true);
    expect(system.circuit.state).toBe("half-open");
  });

  it("opens after twice as many failures in a row, however many successes are in its window", () => {
    const system = new System().calls(...Array.from({ length: 100 }, () => true), ...Array.from({ length: 7 }, () => false));
    expect(system.circuit.state).toBe("closed");
    expect(system.calls(true, ...Array.from({ length: 7 }, () => false)).circuit.state).toBe("closed");
    expect(system.calls(false).circuit.state).toBe("open");
  });

  it("is not moved by calls that began before it opened", () => {
    const system = new System();
    const old = [system.enter(), system.enter()];
    system.calls(false, false, false, false);
    system.now = 300;
    expect(system.circuit.state).toBe("half-open");
    old[0]!.ended(true);
    old[1]!.ended(false);
    expect([system.circuit.state, system.circuit.waitMs]).toEqual(["half-open", 0]);
  });
});
