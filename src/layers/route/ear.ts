import type { Attempt } from "../../core/layer.ts";

/** Whoever wants to know of a request that is under way. */
interface Heard {
  told: { readonly error: unknown; readonly maxRetries: number } | undefined;
  began(): void;
  heard(status: number, headers: ReadonlyMap<string, string>): void;
}

/**
 * What a request that is under way is watched by, as long as it is. Connections that are kept alive keep the scope in which they were opened, and this with it: it
 * lets go of the trial, and with it of call and answer, when that is over.
 */
export class Ear implements Attempt {
  readonly hasPermit = false;
  readonly deployment: string | undefined;
  readonly isImpatient: boolean;
  #heard: Heard | undefined;

  constructor(heard: Heard, { deployment, isImpatient = false }: Pick<Attempt, "deployment" | "isImpatient">) {
    this.#heard = heard;
    this.deployment = deployment;
    this.isImpatient = isImpatient;
  }

  began(): void {
    this.#heard?.began();
  }

  failed(error: unknown, maxRetries: number): void {
    if (this.#heard) this.#heard.told = { error, maxRetries };
  }

  heard(status: number, headers: ReadonlyMap<string, string>): void {
    this.#heard?.heard(status, headers);
  }

  release(): void {
    this.#heard = undefined;
  }
}
