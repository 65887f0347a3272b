import { ignore } from "../../core/abort.ts";
import type { Alarm } from "../../core/clock.ts";
import type { Asked } from "./asked.ts";
import type { Hedging } from "./hedging.ts";

/** What a race needs of the request that it is for. */
export interface HedgeRaceOptions {
  readonly hedging: Hedging;
  readonly clock: Alarm;
  /** Asks a second deployment, if there is one that may be asked. */
  second(primary: Asked): Asked | undefined;
  /** Waits for its first content. Rejects where it fails, or ends and is no answer. */
  begun(asked: Asked): Promise<Asked>;
  /** Hears of each failure, while the other goes on. */
  failed(asked: Asked, error: unknown): void;
}

/** Waits for the first content of an answer; where that takes longer than usual, of two: the first to give some wins, and the other is left. */
export async function hedged(primary: Asked, options: HedgeRaceOptions): Promise<Asked> {
  const { hedging, clock, second } = options;
  const begun = options.begun(primary);
  begun.catch(ignore);
  const afterMs = hedging.afterMs(primary.deployment.id);
  const other = afterMs !== undefined && (await isSlow(begun, primary, afterMs, clock)) ? second(primary) : undefined;
  const winner = other ? await race(begun, primary, other, options) : await begun;
  if (winner === primary && primary.trial.firstMs !== undefined) hedging.heard(primary.deployment.id, primary.trial.firstMs);
  // How long it would have taken nobody knows: longer than the others.
  else if (winner !== primary) hedging.heard(primary.deployment.id, Infinity);
  return winner;
}

/** Whether the first content takes longer than this. While a request waits for its permits nobody is slow. */
function isSlow(begun: Promise<unknown>, { trial }: Asked, afterMs: number, clock: Alarm): Promise<boolean> {
  return new Promise((resolve) => {
    const ring = (): void => {
      const restMs = trial.beganAt === undefined ? afterMs : trial.beganAt + afterMs - clock.elapsed();
      if (restMs <= 0) resolve(!trial.hasContent && !trial.hasEnded);
      else cancel = clock.after(restMs, ring);
    };
    let cancel = clock.after(afterMs, ring);
    const decided = (): void => {
      cancel();
      resolve(false);
    };
    begun.then(decided, decided);
  });
}

async function race(first: Promise<Asked>, primary: Asked, second: Asked, { begun, failed }: HedgeRaceOptions): Promise<Asked> {
  // What one fails of is known at once to the calls to come, however long the other takes.
  first.catch((error: unknown) => failed(primary, error));
  const other = begun(second);
  other.catch((error: unknown) => failed(second, error));
  const winner = await Promise.any([first, other]).catch(() => first);
  const loser = winner === primary ? second : primary;
  if (loser.isOpen) Promise.resolve(loser.leave("Another deployment was faster.")).catch(ignore);
  return winner;
}
