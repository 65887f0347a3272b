/** What became invalid, as it travels between processes. */
export type Invalidation = {
  /** Tells who publishes it that it is his own. */
  readonly id?: string;
} & (
  | {
      /** Entries that carry at least one label of each group, and whose key is `key` where one is given. */
      readonly groups: readonly (readonly string[])[];
      readonly key?: string;
    }
  /** Everything. */
  | { readonly all: true }
);

/**
 * A place in the order of all invalidations. `epoch` names one life of the order: a server that was flushed or lost its data
 * begins another, and places of different epochs cannot be compared.
 */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

export interface BusListener {
  /**
   * An invalidation, of this process or another, in order and without gaps. One of another process that could not get a place is told at once as if it had the
   * next one, and again when it has its place.
   * @param ageMs how long ago it got its place: one that is told late may be older than what this process has asked for
   */
  invalidated(invalidation: Invalidation, position: Position, ageMs: number): void;
  /** Invalidations may have been missed that nobody can tell any more: whatever was kept until now may be invalid. What is still known follows. */
  lost(position: Position): void;
  /** What carries the invalidations refuses to: others may hear late of what this process invalidates, or it of theirs. Told once until it works again. */
  failed?(error: Error): void;
}

/** Carries invalidations between processes. It recovers by itself: what was missed while it was cut is told, or that it was lost. */
export interface Bus {
  /** The last invalidation that this process knows of; `undefined` until it has heard of any place. */
  readonly position: Position | undefined;
  /** Whether it has read the order of invalidations since its connection was last lost. */
  readonly isCurrent: boolean;
  /** Begins to listen. Never throws. Who begins without `since` hears the latest invalidations first. @param since where an earlier life of this process stood */
  start(listener: BusListener, since?: Position): void;
  /** Tells everybody, now or, in an outage, as soon as it is over. Resolves when the invalidation is in the order; waits at most `timeoutMs`. */
  publish(invalidation: Invalidation, timeoutMs: number): Promise<void>;
  /** Hears what is sent to a channel. @returns a function that ends the hearing */
  subscribe(channel: string, hear: (message: string) => void): () => void;
  close(): Promise<void>;
}
