/** What a process has found out about a deployment. */
export interface HealthNews {
  readonly deployment: string;
  /**
   * `open`: it fails. `closed`: it works again, which takes `open` and `disabled` back. `aside`: it has asked to be left alone. `disabled`: it refuses us, e.g. because
   * the key is wrong.
   */
  readonly kind: "open" | "closed" | "aside" | "disabled";
  /** For how long that holds, milliseconds from now. Absent = until something else is said, but a minute at the most. */
  readonly untilMs?: number;
  /** Why, for people. */
  readonly reason: string;
}

/** What processes that ask the same deployments tell each other. Nothing of it waits or throws: where the others cannot be reached, a process knows of itself alone. */
export interface SharedHealth {
  /** Tells the other processes, and those that come while it holds. */
  tell(news: HealthNews): void;
  /** @param listener hears what others tell, and first what holds already. One alone */
  hear(listener: (news: HealthNews) => void): void;
  /** Requests that other processes have under way there, as of a second ago. */
  load(deployment: string): number;
  /** @param loads this process's own requests under way, by deployment; asked for about twice a second */
  report(loads: () => Readonly<Record<string, number>>): void;
  close(): Promise<void>;
}
