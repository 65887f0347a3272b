/** Somebody waits to be woken: by a ring, even one that came before, by the time, or by an abort. */
export class Wake {
  #rung = false;
  #resolve: (() => void) | undefined;

  readonly ring = (): void => {
    this.#rung = true;
    this.#resolve?.();
  };

  /** Rejects with the signal's reason when it aborts. The timer keeps the process alive: somebody waits. */
  async wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const end = (): void => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", end);
          this.#resolve = undefined;
          resolve();
        };
        const timer = setTimeout(end, timeoutMs);
        signal?.addEventListener("abort", end, { once: true });
        this.#resolve = end;
      });
    }
    this.#rung = false;
    signal?.throwIfAborted();
  }
}
