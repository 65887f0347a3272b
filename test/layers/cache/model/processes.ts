import { AsyncLocalStorage } from "node:async_hooks";
import { createPerf, type CallFacts, type CallWishes, type Perf } from "langchain-perf";
import { vi } from "vitest";
import { FaultyStore } from "../../../support/stores/faulty-store.ts";
import { SimulatedBus, SimulatedLog } from "../../../support/stores/simulated-bus.ts";
import { settle } from "../../support/gate.ts";
import { opening } from "./opening.ts";
import { keyName, Reference, tagsOf, type Computed, type Tenant } from "./reference.ts";

export const MAX_ENTRIES = 3;
export const TTL_MS = 60_000;

export interface AskWishes {
  readonly question: number;
  readonly tenant: Tenant;
  readonly mode: NonNullable<CallWishes["cache"]> & ("use" | "refresh" | "bypass");
  readonly ttlMs: number | undefined;
  readonly tag: string | undefined;
}

/** One call. */
export interface Ask extends AskWishes {
  readonly process: number;
  readonly begunAt: number;
  readonly begunMs: number;
  readonly forbidden: ReadonlySet<number>;
  gate: PromiseWithResolvers<void> | undefined;
  made: Computed | undefined;
  facts: CallFacts | undefined;
  done: boolean;
}

export interface Process {
  perf: Perf;
  bus: SimulatedBus;
  losses: number;
  readonly startedAt: number;
  ask(question: number): Promise<string>;
}

interface Wanted {
  readonly made: Computed;
  readonly process: number;
}

/** Several processes that ask over the same far tiers, and the reference beside them. Time is simulated: nothing waits for real. */
export class Processes {
  readonly stores: readonly FaultyStore[];
  readonly reference: Reference;
  readonly processes: Process[] = [];
  readonly violations: string[] = [];
  /** What each store must have when all is well. */
  protected readonly wanted: Map<string, Wanted>[];
  readonly #current = new AsyncLocalStorage<Ask>();
  readonly #log = new SimulatedLog();
  protected readonly asks = new Set<Ask>();
  protected readonly local: boolean;
  protected readonly severed = new Set<number>();
  readonly #count: number;
  /** Whether a process may have written without knowing of what others invalidated. */
  protected wasCut = false;

  /** @param local whether each process has a persistent tier of its own */
  constructor(processes: number, local: boolean) {
    this.local = local;
    this.#count = processes;
    this.stores = Array.from({ length: 1 + (local ? processes : 1) }, () => new FaultyStore());
    this.wanted = this.stores.map(() => new Map());
    this.reference = new Reference(processes, MAX_ENTRIES);
  }

  async open(): Promise<void> {
    for (let at = 0; at < this.#count; at += 1) this.processes.push(this.start(at));
    for (const { perf } of this.processes) await this.drive(perf.flush());
  }

  /** The places in `stores` of a process's far tiers, the nearest first. */
  protected storesOf(process: number): number[] {
    return [0, this.local ? 1 + process : 1];
  }

  protected start(at: number): Process {
    const bus = new SimulatedBus(this.#log, !this.severed.has(at));
    const [near, last] = this.storesOf(at).map((place) => this.stores[place] as FaultyStore);
    opening.next = { bus, stores: [near!.open("near", true), last!.open("last", !this.local)] };
    const perf = createPerf({ coalesce: true, cache: { memory: { maxEntries: MAX_ENTRIES }, redis: "redis://simulated", ttlMs: TTL_MS, hotKeys: false } });
    perf.on("call", (facts) => {
      const ask = this.#current.getStore();
      if (ask) ask.facts = facts;
    });
    const work = perf.cached("work", (question: number) => this.#compute(question), { tags: (_answer, question) => tagsOf(question) });
    return { perf, bus, losses: 0, startedAt: this.reference.tick(), ask: work };
  }

  async #compute(question: number): Promise<string> {
    const ask = this.#current.getStore() as Ask;
    const { process, tenant, mode, tag, gate } = ask;
    // Who keeps nothing gives nothing a tag.
    const tags = new Set([...tagsOf(question), ...(tag === undefined || ask.ttlMs === 0 ? [] : [tag])]);
    const made = this.reference.compute({ process, question, tenant, tags, alone: mode === "bypass" });
    ask.made = made;
    await gate?.promise;
    return `${keyName(question, tenant)} serial-${made.serial};`;
  }

  /** Asks, and goes on. @param held whether the program answers only when it is released */
  begin(process: number, wishes: AskWishes, held: boolean): Ask {
    const { reference } = this;
    const ask: Ask = {
      ...wishes, process, begunAt: reference.tick(), begunMs: Date.now(), forbidden: new Set(reference.dead(process)),
      gate: held ? Promise.withResolvers() : undefined, made: undefined, facts: undefined, done: false,
    };
    const { perf, ask: work } = this.processes[process] as Process;
    const { question, tenant, mode, ttlMs, tag } = wishes;
    const config: CallWishes = { cache: mode, ...(tenant === undefined ? {} : { tenant }), ...(ttlMs === undefined ? {} : { ttlMs }), ...(tag === undefined ? {} : { tags: [tag] }) };
    this.asks.add(ask);
    const answered = this.#current.run(ask, () => perf.run(() => work(question), config));
    answered.then((answer) => this.#answered(ask, answer), (error: unknown) => this.#violated(ask, `failed: ${String(error)}`)).finally(() => {
      ask.done = true;
      this.asks.delete(ask);
    });
    return ask;
  }

  async ask(process: number, wishes: AskWishes): Promise<void> {
    const { question, tenant, mode } = wishes;
    const certain = mode === "use" ? this.reference.certain(process, question, tenant) : undefined;
    const far = mode === "use" ? this.#certainFar(process, keyName(question, tenant)) : undefined;
    const ask = this.begin(process, wishes, false);
    await this.until(() => ask.done, () => this.releaseThose((other) => other.process === process));
    const shared = ask.facts?.coalesced === "follower";
    if ((ask.made || shared) && certain) this.#violated(ask, `missed ${certain.serial}, which memory must have`);
    if (ask.made && far !== undefined) this.#violated(ask, `missed ${far}, which a healthy tier has`);
  }

  /** What a tier that is well has for a process, unless somebody was cut, and may have written what others take for invalid. */
  #certainFar(process: number, name: string): number | undefined {
    const key = this.reference.keys.get(name);
    const isWell = this.stores.every(({ health }) => health === "well") && this.tiers(process).every(({ circuit, pending }) => circuit === "closed" && pending === 0);
    if (key === undefined || !isWell || this.wasCut) return undefined;
    const serials = this.storesOf(process).map((at) => this.serialIn(at, key));
    return serials.find((serial) => serial !== undefined && !this.reference.dead(process).has(serial));
  }

  /** Which answer a store has under a key. */
  serialIn(store: number, key: string): number | undefined {
    const entry = this.stores[store]?.entries.get(key);
    if (!entry || entry.expiresAt <= Date.now()) return undefined;
    return Number(/serial-(\d+);/.exec(Buffer.from(entry.value).toString("latin1"))?.[1]);
  }

  protected tiers(process: number): { circuit: string; pending: number }[] {
    return this.processes[process]!.perf.cache.stats().tiers;
  }

  /** Whether nothing waits to be delivered to any store. */
  protected isIdle(): boolean {
    return this.stores.every(({ health, busy }) => health === "well" && busy === 0) && this.processes.every((_, at) => this.tiers(at).every(({ pending }) => pending === 0));
  }

  #answered(ask: Ask, answer: string): void {
    const { reference } = this;
    const { process, question, tenant, mode, facts } = ask;
    const name = keyName(question, tenant);
    const [, got, number] = /^(\S+) serial-(\d+);$/.exec(answer) ?? [];
    const made = reference.computed.get(Number(number));
    if (got !== name || !made) return this.#violated(ask, `got the answer "${answer}" of another`);
    if (made.alone && ask.made !== made) this.#violated(ask, `got ${made.serial}, which was made past the cache`);
    if (ask.forbidden.has(made.serial) && !made.isExcused) this.#violated(ask, `got ${made.serial}, which was invalid (${JSON.stringify(facts?.cache)})`);
    const isShared = ask.made === made || facts?.coalesced === "follower";
    if (isShared) {
      made.endedAt = Math.min(made.endedAt, reference.tick());
      const until = Date.now() + (ask.ttlMs ?? TTL_MS);
      made.until = Math.max(made.until === Infinity ? 0 : made.until, until);
      made.sureUntil = Math.min(made.sureUntil, until);
    }
    if (made.until <= ask.begunMs && !isShared) this.#violated(ask, `got ${made.serial}, whose time was up`);
    if (mode !== "use" && !isShared) this.#violated(ask, `got ${made.serial} from the cache`);
    if (mode === "bypass") return;
    if (facts?.cache?.key !== undefined) reference.keys.set(name, facts.cache.key);
    const before = mode === "use" ? reference.certain(process, question, tenant) : undefined;
    if (before && before.serial > made.serial && before.begunAt < ask.begunAt) this.#violated(ask, `got ${made.serial} after ${before.serial}`);
    reference.touched(process, name);
    this.#keep(ask, made);
  }

  #keep(ask: Ask, made: Computed): void {
    const { reference } = this;
    const { process, tag, begunAt } = ask;
    if (tag !== undefined && ask.ttlMs !== 0 && ask.facts?.coalesced === "follower") made.tags.add(tag);
    const meanwhile = reference.forgotten.filter((forgotten) => (forgotten.heard.get(process) ?? 0) >= Math.min(begunAt, made.begunAt));
    const concerned = meanwhile.filter(({ by }) => reference.concerns(by, made));
    if (concerned.some((forgotten) => forgotten.process === process && forgotten.at > begunAt)) reference.dead(process).add(made.serial);
    if (concerned.length > 0 || reference.dead(process).has(made.serial) || made.until <= Date.now()) return;
    const isKnownInvalid = reference.forgotten.some((forgotten) => !forgotten.heard.has(process) && forgotten.at > made.begunAt && reference.concerns(forgotten.by, made));
    // It takes the place of a valid answer, and is erased as soon as its process hears that it is invalid.
    if (isKnownInvalid && ask.made === made) for (const at of this.storesOf(process)) this.wanted[at]!.delete(keyName(made.question, made.tenant));
    if (reference.isOutdated(made)) return;
    reference.kept(process, made);
    if (ask.made !== made || isKnownInvalid) return;
    // Another process's erasure of an outage may come after it.
    const isOwed = this.processes.some((_, other) => other !== process && this.tiers(other).some(({ pending }) => pending > 0));
    const name = keyName(made.question, made.tenant);
    for (const at of this.storesOf(process)) {
      if (isOwed) this.wanted[at]!.delete(name);
      else this.wanted[at]!.set(name, { made, process });
    }
  }

  protected releaseThose(which: (ask: Ask) => boolean): void {
    for (const ask of this.asks) if (which(ask)) ask.gate?.resolve();
  }

  /** Lets time pass until work is done. */
  async drive(work: Promise<unknown>): Promise<void> {
    let done = false;
    work.then(() => (done = true), (error: unknown) => this.violations.push(String(error)));
    await this.until(() => done || this.violations.length > 0, () => {});
  }

  protected async until(done: () => boolean, help: () => void): Promise<void> {
    for (let step = 0; ; step += 1) {
      await settle();
      if (done()) return;
      if (step > 300) throw new Error("It never ends.");
      help();
      await settle();
      if (!done()) await vi.advanceTimersToNextTimerAsync();
    }
  }

  #violated({ process, question, tenant, mode, begunAt }: Ask, what: string): void {
    this.violations.push(`process ${process} asked ${keyName(question, tenant)} (${mode}, at ${begunAt}) and ${what}`);
  }
}
