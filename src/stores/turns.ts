/** Lets work take turns, in the order in which it was asked for. What fails does not hold up what comes after it. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves when everything that was asked for has ended. */
  async end(): Promise<void> {
    await this.#last;
  }
}
