import type { InvalidateBy } from "../../../../src/layers/cache/labels.ts";

export type Tenant = "acme" | "initech" | undefined;

/** One run of the program: what it answered, when, and what is known of the entry that it makes. */
export interface Computed {
  readonly serial: number;
  readonly process: number;
  readonly question: number;
  readonly tenant: Tenant;
  readonly tags: Set<string>;
  /** In the order of all events. */
  readonly begunAt: number;
  /** Milliseconds since the epoch: nobody may get it from then on. */
  until: number;
  /** Until then it is sure to be good: of all who shared it the first to end decided. */
  sureUntil: number;
  /** Its process had never heard of the order when it kept it, and says on delivery that it has: nobody can know better. */
  isExcused: boolean;
  endedAt: number;
  /** Never to be given to anybody but who asked. */
  readonly alone: boolean;
}

/** What was invalidated, and the answers that it makes invalid. */
export interface Forgotten {
  readonly by: InvalidateBy | "all";
  readonly process: number;
  readonly at: number;
  readonly serials: ReadonlySet<number>;
  /** Whether its process has been connected since. */
  told: boolean;
  /** When each process has heard of it, in the order of all events. */
  readonly heard: Map<number, number>;
}

export function keyName(question: number, tenant: Tenant): string {
  return `${tenant ?? ""}/${question}`;
}

/** The tags that every answer to a question has. */
export function tagsOf(question: number): string[] {
  return ["work", `part-${question % 2}`];
}

/** What the cache should do, in the simplest words: which answers are dead to which process, and what must be found. */
export class Reference {
  readonly computed = new Map<number, Computed>();
  forgotten: Forgotten[] = [];
  /** Keys as the cache calls them, by question and tenant. */
  readonly keys = new Map<string, string>();
  readonly #dead: Set<number>[] = [];
  readonly #memory: { readonly recent: string[]; readonly entries: Map<string, Computed> }[] = [];
  readonly #maxEntries: number;
  #events = 0;

  constructor(processes: number, maxEntries: number) {
    this.#maxEntries = maxEntries;
    for (let at = 0; at < processes; at += 1) {
      this.#dead.push(new Set());
      this.#memory.push({ recent: [], entries: new Map() });
    }
  }

  tick(): number {
    return (this.#events += 1);
  }

  compute(facts: Omit<Computed, "serial" | "begunAt" | "until" | "sureUntil" | "isExcused" | "endedAt">): Computed {
    const made = { ...facts, serial: this.computed.size + 1, begunAt: this.tick(), until: Infinity, sureUntil: Infinity, isExcused: false, endedAt: Infinity };
    this.computed.set(made.serial, made);
    return made;
  }

  dead(process: number): Set<number> {
    return this.#dead[process] as Set<number>;
  }

  concerns(by: Forgotten["by"], { question, tenant, tags }: Pick<Computed, "question" | "tenant" | "tags">): boolean {
    if (by === "all") return true;
    if (by.tags && !by.tags.some((tag) => tags.has(tag))) return false;
    if (by.tenant !== undefined && by.tenant !== tenant) return false;
    if (by.namespace !== undefined && by.namespace !== "default") return false;
    return by.key === undefined || by.key === this.keys.get(keyName(question, tenant));
  }

  /** An invalidation by a process has begun: what was computed before is invalid when it is done. */
  forget(by: Forgotten["by"], process: number): Forgotten {
    const serials = [...this.computed.values()].filter((made) => this.concerns(by, made)).map(({ serial }) => serial);
    const forgotten: Forgotten = { by, process, at: this.tick(), serials: new Set(serials), told: false, heard: new Map() };
    this.forgotten.push(forgotten);
    return forgotten;
  }

  /** A process has heard of an invalidation, its own or another's. */
  hear(forgotten: Forgotten, process: number): void {
    // As long as nobody else has heard of it, others may bring what it is about without knowing.
    for (const serial of forgotten.serials) if (forgotten.told || this.computed.get(serial)?.process === process) this.dead(process).add(serial);
    if (forgotten.heard.has(process)) return;
    forgotten.heard.set(process, this.tick());
    const { entries } = this.#memory[process]!;
    for (const [name, made] of entries) if (this.concerns(forgotten.by, made)) entries.delete(name);
  }

  /** A process has got an answer, and keeps it in memory or has found it there. */
  kept(process: number, made: Computed): void {
    const { entries } = this.#memory[process]!;
    const name = keyName(made.question, made.tenant);
    const before = entries.get(name);
    if (!before || before.serial < made.serial) entries.set(name, made);
  }

  /** A process has got an answer, and may have made room for it in memory. */
  touched(process: number, name: string): void {
    const { recent } = this.#memory[process]!;
    const at = recent.indexOf(name);
    if (at >= 0) recent.splice(at, 1);
    recent.push(name);
  }

  /** Whether there is another answer that came meanwhile. */
  isOutdated({ serial, begunAt, question, tenant }: Computed): boolean {
    const others = [...this.computed.values()].filter((other) => other.serial !== serial && other.question === question && other.tenant === tenant && !other.alone);
    return others.some(({ endedAt }) => endedAt < Infinity && endedAt > begunAt);
  }

  /** Whether an answer is good still, and any other that a store may have in its place: of two processes' answers it has the one that was delivered last. */
  isWanted({ process, question, tenant, sureUntil }: Computed): boolean {
    const others = [...this.computed.values()].filter((other) => other.process !== process && other.question === question && other.tenant === tenant && !other.alone);
    return [sureUntil, ...others.map((other) => other.sureUntil)].every((end) => end > Date.now());
  }

  /** What memory must have under a key: it is among the last that were used, and neither expired nor invalidated. */
  certain(process: number, question: number, tenant: Tenant): Computed | undefined {
    const { recent, entries } = this.#memory[process]!;
    const name = keyName(question, tenant);
    const made = recent.slice(-this.#maxEntries).includes(name) ? entries.get(name) : undefined;
    return made && made.sureUntil > Date.now() && !this.dead(process).has(made.serial) ? made : undefined;
  }

  /** What a process had in memory is gone. */
  restarted(process: number): void {
    this.#memory[process] = { recent: [], entries: new Map() };
  }

  /** What a process had not told anybody will never be told. */
  untold(process: number): void {
    this.forgotten = this.forgotten.filter((one) => one.told || one.process !== process);
  }
}
