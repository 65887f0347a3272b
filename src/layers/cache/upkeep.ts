import { MalformedError } from "../../core/wire/errors.ts";
import type { Position } from "../../stores/bus.ts";
import type { FarTier } from "./far-tier.ts";
import type { HotKeys } from "./hot-keys.ts";
import type { Tiers } from "./tiers.ts";

export interface UpkeepOptions {
  readonly tiers: Tiers;
  readonly hotKeys: HotKeys;
  /** Entries copied to memory at the start; 0 = none. */
  readonly warmStart: number;
}

const TOUCH_EVERY_MS = 10_000;
const PURGE_EVERY_MS = 60_000;
/** Expired rows that are removed at a time. */
const PURGE_STEP = 500;
const WARM_CONCURRENCY = 8;
const WARM_BYTES = 32 * 1024 * 1024;
/** Under which name a store that this machine alone has notes how far it has heard of invalidations. */
const HEARD = "bus-position";

/** What the cache does by itself: counts which entries are asked for, removes expired ones, warms up. Its timers keep nothing alive. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #noted: string | undefined;
  #ended = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.tiers.far.length === 0) return;
    this.#timers.push(setInterval(() => void this.record(), TOUCH_EVERY_MS).unref(), setInterval(() => void this.#purge(), PURGE_EVERY_MS).unref());
  }

  /** Where the stores of this machine alone stood when they last heard of invalidations. */
  async heard(): Promise<Position | undefined> {
    for (const tier of this.#local()) {
      const position = await tier.upkeep("note", () => tier.store.note?.read(HEARD).then(positionIn), false);
      if (position) return position;
    }
    return undefined;
  }

  /** Copies the entries that were asked for most to memory, from the first tier that knows them. @returns how many */
  async warm(): Promise<number> {
    const { tiers, warmStart } = this.#options;
    for (const tier of warmStart > 0 && tiers.memory ? tiers.far : []) {
      const keys = (await tier.upkeep("hottest", () => tier.store.hottest?.(warmStart), false)) ?? [];
      if (keys.length > 0) return this.#copy(tier, keys);
    }
    return 0;
  }

  /** Tells the stores what was asked for, and notes how far this process has heard of invalidations. */
  async record(): Promise<void> {
    const { tiers, hotKeys } = this.#options;
    const hits = hotKeys.takeHits();
    const position = tiers.position && JSON.stringify(tiers.position);
    await Promise.all(tiers.far.map((tier) => tier.upkeep("touch", () => (hits.size > 0 ? tier.store.touch?.(hits) : undefined), false)));
    if (position === undefined || position === this.#noted) return;
    const noted = await Promise.all(this.#local().map((tier) => this.#note(tier, position)));
    if (noted.every((done) => done)) this.#noted = position;
  }

  /** A store that was not told yet of all that was heard has to hear of it again in its next life. @returns whether it is noted */
  async #note(tier: FarTier, position: string): Promise<boolean> {
    if (tier.owesErasures) return false;
    const written = tier.upkeep("note", async () => {
      await tier.store.note?.write(HEARD, position);
      return true;
    }, false);
    return (await written) ?? false;
  }

  end(): void {
    this.#ended = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  #local(): FarTier[] {
    return this.#options.tiers.far.filter(({ store }) => !store.shared && store.note);
  }

  async #copy(tier: FarTier, keys: readonly string[]): Promise<number> {
    const { tiers } = this.#options;
    const rest = keys.values();
    let copied = 0;
    let bytes = 0;
    const work = async (): Promise<void> => {
      for (const key of rest) {
        if (this.#ended || bytes > WARM_BYTES) return;
        const { entry } = await tiers.read(tier, key, undefined);
        if (!entry || tiers.memory?.peek(key)) continue;
        tiers.copyToMemory(key, entry);
        copied += 1;
        bytes += entry.sizeBytes;
      }
    };
    await Promise.all(Array.from({ length: WARM_CONCURRENCY }, work));
    return copied;
  }

  async #purge(): Promise<void> {
    for (const tier of this.#options.tiers.far) {
      let removed: number | undefined = PURGE_STEP;
      while (removed === PURGE_STEP && !this.#ended) {
        removed = await tier.upkeep("purge", () => tier.store.purge?.(PURGE_STEP), false);
        // Calls go first.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
  }
}

/** @throws whatever is wrong with a note that is none of ours */
function positionIn(text: string | undefined): Position | undefined {
  if (text === undefined) return undefined;
  const { epoch, seq } = JSON.parse(text) as Partial<Record<keyof Position, unknown>>;
  if (typeof epoch !== "string" || typeof seq !== "number") throw new MalformedError("a note of a position that is none");
  return { epoch, seq };
}
