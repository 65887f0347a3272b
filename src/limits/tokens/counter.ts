import { CountingThread } from "./counting-thread.ts";
import { encodingOf } from "./encoding.ts";
import { estimateTokens } from "./estimate.ts";
import { sampleOf } from "./sample.ts";

/** Longer texts are counted by slices of them: takes 3 to 8 ms of the thread, 25 at worst. */
const MAX_COUNTED_CHARS = 32_768;

/** Counts the tokens of prompts. */
export interface TokenCounter {
  /**
   * Tokens of these texts together in the encoding of this model, without what a provider adds to a message. Up to 32,768 UTF-16 units
   * they are exact for OpenAI's models since 2022, counted in a thread; longer texts are counted by 64 slices of them. What cannot be
   * counted within 50 ms (the thread starts, has too much to do, or died) is estimated, see `estimateTokens`. It never fails, and
   * never blocks the event loop for more than a few milliseconds.
   * @param model as its provider calls it; unknown ones are counted in the encoding of OpenAI's recent models
   * @returns a number at once when it is an estimate
   */
  count(texts: readonly string[], model: string | undefined): number | Promise<number>;
  /** Ends the thread when nobody else needs it; from then on, this counter estimates. */
  close(): void;
}

let thread: CountingThread | undefined;
let users = 0;

/** A counter whose thread is the process's own: all counters share it. It starts at once, so that it is ready when the first prompt comes. */
export function tokenCounter(): TokenCounter {
  let isOpen = true;
  users += 1;
  (thread ??= new CountingThread()).start(encodingOf(undefined));
  return {
    count: (texts, model) => (isOpen ? countTokens(texts, model, (thread ??= new CountingThread())) : estimateTokens(texts)),
    close() {
      if (!isOpen) return;
      isOpen = false;
      users -= 1;
      if (users === 0) thread?.end();
    },
  };
}

/** Counts by a thread, and estimates what it does not count. */
export function countTokens(texts: readonly string[], model: string | undefined, by: Pick<CountingThread, "count">): number | Promise<number> {
  const sample = sampleOf(texts, MAX_COUNTED_CHARS);
  if (sample.texts.every((text) => text === "")) return 0;
  const counted = by.count(sample.texts, encodingOf(model));
  if (!counted) return estimateTokens(texts);
  return counted.then((tokens) => (tokens === undefined ? estimateTokens(texts) : Math.ceil(tokens * sample.scale)));
}
