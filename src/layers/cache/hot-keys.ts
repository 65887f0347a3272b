import { systemClock, type Clock } from "../../core/clock.ts";
import { resolveWith } from "../../core/options.ts";

export interface HotKeysOptions {
  /** Keys that are counted at a time. @default 512 */
  capacity?: number;
  /** After so long a hit counts half, milliseconds; `Infinity` = it counts for ever. @default 600_000 (ten minutes) */
  halfLifeMs?: number;
}

/** Reading the clock takes as long as all else that is done for a hit. */
const HITS_BETWEEN_LOOKS = 256;

/**
 * The keys that are asked for most, found with bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient computation of
 * frequent and top-k elements in data streams", ICDT 2005), with counts that halve from time to time. A new key takes the place and the
 * count of the key that was counted least. So after N hits that did not halve yet every key with more than N / capacity of them is
 * counted, and no count is too low, or too high by more than N / capacity.
 */
export class HotKeys {
  readonly #capacity: number;
  readonly #halfLifeMs: number;
  readonly #clock: Clock;
  /** Where each key is counted. */
  readonly #slots = new Map<string, number>();
  readonly #keys: string[] = [];
  /** By slot; whole numbers. */
  readonly #counts: Float64Array;
  /** Hits since they were last taken, by slot. */
  readonly #untaken: Float64Array;
  /** No count is lower while all slots are taken: counts only grow, until they halve. */
  #least = 0;
  /** No slot before this one has the least count. */
  #cursor = 0;
  #halvedAt: number;
  #hitsUntilLook = HITS_BETWEEN_LOOKS;

  /** @throws OptionError */
  constructor(options: HotKeysOptions = {}, clock: Clock = systemClock) {
    const { capacity, halfLifeMs } = resolveWith("hotKeys", options, (read) => ({
      capacity: read.number("capacity", { default: 512, min: 1, max: 2 ** 20, integer: true }),
      halfLifeMs: read.number("halfLifeMs", { default: 600_000, min: 1 }),
    }));
    this.#capacity = capacity;
    this.#halfLifeMs = halfLifeMs;
    this.#clock = clock;
    this.#halvedAt = clock.elapsed();
    this.#counts = new Float64Array(capacity);
    this.#untaken = new Float64Array(capacity);
  }

  hit(key: string): void {
    if (--this.#hitsUntilLook === 0) this.#cool();
    const slot = this.#slots.get(key) ?? this.#admit(key);
    (this.#counts[slot] as number) += 1;
    (this.#untaken[slot] as number) += 1;
  }

  /** About how often the key was asked for; 0 when it is not counted. */
  count(key: string): number {
    this.#cool();
    const slot = this.#slots.get(key);
    return slot === undefined ? 0 : (this.#counts[slot] as number);
  }

  /** The keys that were asked for most, the most asked for first. */
  top(limit: number): [key: string, hits: number][] {
    this.#cool();
    const counted = this.#keys.map((key, slot): [string, number] => [key, this.#counts[slot] as number]);
    return counted.filter(([, hits]) => hits > 0).sort(([, a], [, b]) => b - a).slice(0, limit);
  }

  /** How often each counted key was asked for since this was last called. Hits of keys that had to give way are not among them. */
  takeHits(): Map<string, number> {
    const taken = new Map<string, number>();
    for (const [slot, key] of this.#keys.entries()) {
      const hits = this.#untaken[slot] as number;
      if (hits > 0) taken.set(key, hits);
    }
    this.#untaken.fill(0);
    return taken;
  }

  /** A slot for a new key: a free one, or that of the key which was counted least, with its count. */
  #admit(key: string): number {
    let slot = this.#keys.length;
    if (slot === this.#capacity) {
      slot = this.#leastCounted();
      this.#slots.delete(this.#keys[slot] as string);
      this.#untaken[slot] = 0;
    }
    this.#keys[slot] = key;
    this.#slots.set(key, slot);
    return slot;
  }

  /** Most calls look at a slot or two, since all slots with the least count go one after the other before the next higher is sought. */
  #leastCounted(): number {
    for (; this.#cursor < this.#capacity; this.#cursor++) {
      if (this.#counts[this.#cursor] === this.#least) return this.#cursor;
    }
    this.#least = this.#counts.reduce((least, count) => Math.min(least, count), Infinity);
    return (this.#cursor = this.#counts.indexOf(this.#least));
  }

  #cool(): void {
    this.#hitsUntilLook = HITS_BETWEEN_LOOKS;
    const halvings = Math.floor((this.#clock.elapsed() - this.#halvedAt) / this.#halfLifeMs);
    if (halvings < 1) return;
    this.#halvedAt += halvings * this.#halfLifeMs;
    for (const [slot, count] of this.#counts.entries()) this.#counts[slot] = Math.floor(count / 2 ** halvings);
    // To be sought anew.
    this.#cursor = this.#capacity;
  }
}
