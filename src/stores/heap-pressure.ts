import { getHeapStatistics } from "node:v8";
import { resourceLimits } from "node:worker_threads";
import { systemClock, type Clock } from "../core/clock.ts";

/** How full the heap of this process is, bytes. */
export interface HeapReading {
  readonly usedBytes: number;
  /** Where the process dies. */
  readonly limitBytes: number;
}

export interface HeapPressureOptions {
  /** @default V8's own statistics */
  readonly read?: () => HeapReading;
  readonly clock?: Clock;
}

/*
 * What is used includes garbage that was not collected yet, so a full heap may be one that only looks full. To let go of entries too early
 * costs hits, to let go of them too late the process; between the two thresholds nothing happens.
 */
const HIGH = 0.85;
const LOW = 0.7;
/** What is let go of counts as used until the next collection: a fuller heap by so much, or so much time, before more is let go of. */
const HIGHER_STEP = 0.05;
const STEP_MS = 1_000;
const GROWTH = 1.25;
const LEAST_GROWN_BYTES = 1024 * 1024;
/** The heap is looked at after so many bytes or so much time: reading the statistics takes half a microsecond. */
const LOOK_BYTES = 512 * 1024;
const LOOK_MS = 250;

/**
 * How much the memory tier may hold, by how full the heap is: half of what it holds when the heap runs short, half of that when it stays
 * short, and step by step more again once there is room.
 */
export class HeapPressure {
  readonly #read: () => HeapReading;
  readonly #clock: Clock;
  #roomBytes = Infinity;
  #bytesSinceLook = 0;
  #lookedAt: number;
  #steppedAt = -Infinity;
  /** The next share of the heap at which the room is halved. */
  #high = HIGH;

  constructor({ read = heapReader(), clock = systemClock }: HeapPressureOptions = {}) {
    this.#read = read;
    this.#clock = clock;
    this.#lookedAt = clock.elapsed();
  }

  /** Bytes that may be held when so many are about to be added to so many. */
  roomBytes(addedBytes: number, heldBytes: number): number {
    this.#bytesSinceLook += addedBytes;
    const now = this.#clock.elapsed();
    if (this.#bytesSinceLook >= LOOK_BYTES || now - this.#lookedAt >= LOOK_MS) {
      this.#bytesSinceLook = 0;
      this.#lookedAt = now;
      this.#look(now, heldBytes);
    }
    return this.#roomBytes;
  }

  #look(now: number, heldBytes: number): void {
    const { usedBytes, limitBytes } = this.#read();
    const used = usedBytes / limitBytes;
    const stepIsDue = now - this.#steppedAt >= STEP_MS;
    if (used >= (stepIsDue ? HIGH : this.#high)) {
      this.#roomBytes = Math.floor(Math.min(heldBytes, this.#roomBytes) / 2);
      this.#high = used + HIGHER_STEP;
      this.#steppedAt = now;
    } else if (used < LOW && stepIsDue && this.#roomBytes < Infinity) {
      this.#roomBytes = Math.max(this.#roomBytes * GROWTH, LEAST_GROWN_BYTES);
      this.#high = HIGH;
      this.#steppedAt = now;
    }
  }
}

const OLD_SPACE_FLAG = /--max[-_]old[-_]space[-_]size=(\d+)/g;

/** V8's statistics, with the bound of the old generation where one was set: theirs adds room for the young one, but a process dies without it. */
function heapReader(): () => HeapReading {
  const flags = [process.env.NODE_OPTIONS, ...process.execArgv].join(" ");
  const [, flag = Infinity] = [...flags.matchAll(OLD_SPACE_FLAG)].at(-1) ?? [];
  const { maxOldGenerationSizeMb: ofWorker = Infinity } = resourceLimits;
  const oldGenerationBytes = Math.min(Number(flag), ofWorker) * 1024 * 1024;
  return () => {
    const { used_heap_size: usedBytes, heap_size_limit: limitBytes } = getHeapStatistics();
    return { usedBytes, limitBytes: Math.min(limitBytes, oldGenerationBytes) };
  };
}
