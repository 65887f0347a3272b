import { warn } from "../../core/warn.ts";
import type { Answer, Exchange, SharedDemand } from "./exchange.ts";
import { HEARTBEAT_MS } from "./exchange-script.ts";

export interface PresenceOptions {
  readonly exchange: Exchange;
  /** What the limits are shared under. */
  readonly name: string;
  /** Places that this process holds. */
  held(): number;
  /** Whether neither this process nor Redis will miss anything when nothing is told any more. */
  isIdle(): boolean;
  /** Asks for whoever's turn it is, unless that is done already; `false` = there is nobody to ask for. */
  ask(): boolean;
  /** Serves those who wait as far as it goes now. */
  serve(): void;
  /** From now on this process keeps to this part of all limits. */
  rescale(part: number): void;
}

/** Processes find out within this time, one after the other, that Redis answers again, milliseconds; it is more than what lies between two of their tries. */
const RETURN_MS = 1_500;

/** Whether Redis is there for this process, and this process for the others: it says that it lives, and what there is to tell, even when it asks for nothing. */
export class Presence {
  readonly #options: PresenceOptions;
  #heartbeat: NodeJS.Timeout | undefined;
  /** Redis answers again, and all processes are given the time to tell what they gave out meanwhile. */
  #returning: NodeJS.Timeout | undefined;
  #isTelling = false;
  #hasEnded = false;
  isAway = false;
  /** There is something to tell. */
  hasNews = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** Asks for permits, and tells what there is to tell. @returns nothing when Redis does not answer */
  async send(demands: readonly SharedDemand[]): Promise<Answer | undefined> {
    const { exchange, held } = this.#options;
    this.hasNews = false;
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
    try {
      const answer = await exchange.send(held(), demands);
      if (answer.reason === "unknown") this.hasNews = true;
      if (this.isAway) this.#returning ??= setTimeout(() => this.#return(), RETURN_MS).unref();
      return answer;
    } catch (error) {
      this.hasNews = true;
      this.#leave(error);
      return undefined;
    }
  }

  /** What happens in one go is told at once, or with the next question. */
  tellSoon(): void {
    this.hasNews = true;
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      if (!this.hasNews || this.#hasEnded || (this.isAway && !this.#returning)) return;
      if (this.isAway || !this.#options.ask()) void this.#tell();
    });
  }

  /** Tries, while Redis is away, whether it answers again. */
  probe(): void {
    if (this.#returning) {
      if (this.hasNews) this.tellSoon();
    } else if (this.#options.exchange.allows()) void this.#tell();
  }

  /** The last that is said. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    if (!this.isAway) await this.send([]);
    clearInterval(this.#heartbeat);
  }

  async #tell(): Promise<void> {
    if (await this.send([])) this.#options.serve();
  }

  #beat(): void {
    const { exchange, isIdle, serve } = this.#options;
    if (isIdle()) {
      clearInterval(this.#heartbeat);
      this.#heartbeat = undefined;
    } else if (this.isAway && !this.#returning) serve();
    else if (exchange.isSilent) this.tellSoon();
  }

  #leave(error: unknown): void {
    const { exchange, name, rescale } = this.#options;
    clearTimeout(this.#returning);
    this.#returning = undefined;
    if (this.isAway) return;
    this.isAway = true;
    rescale(1 / exchange.processes);
    if (!this.#hasEnded) warn(`the limits "${name}" are kept to in parts, one for each process, until Redis answers again`, error);
  }

  #return(): void {
    this.#returning = undefined;
    this.isAway = false;
    this.#options.rescale(1);
    this.#options.serve();
  }
}
