import { raceAbort } from "../../core/abort.ts";
import { NO_ATTEMPTS, type AttemptFacts } from "../../core/facts.ts";
import { PerfError, StreamInterruptedError } from "../../core/errors.ts";
import type { Call, Mode, Next } from "../../core/layer.ts";
import { statusOf } from "../../core/retry-after.ts";
import { Asked } from "./asked.ts";
import type { Deployment } from "./deployment.ts";
import type { FailureKind } from "./failures.ts";
import { Flaw, flawOf, kindOf, snapshotsOf } from "./flaws.ts";
import { hedged } from "./hedge-race.ts";
import type { Hedging } from "./hedging.ts";
import { Itinerary } from "./itinerary.ts";
import type { Pool } from "./pool.ts";
import { CallQuestion } from "./question.ts";
import { readyIn, sign } from "./handing-over.ts";
import type { RouteTools } from "./tools.ts";
import { Trial } from "./trial.ts";

/** Stands for a model of which no name is known. */
const UNNAMED = "unnamed";

/** One call that is routed: asked of one deployment after another, until there is an answer that is whole or, where it is read part by part, its first content. */
export class RoutedRequest {
  readonly #call: Call;
  readonly #next: Next;
  readonly #pool: Pool;
  readonly #tools: RouteTools;
  readonly #question: CallQuestion;
  readonly #itinerary: Itinerary;
  readonly #deadlineAt: number;
  readonly #asked = new Set<Asked>();
  /** An answer that is better than none. */
  #reserve: Asked | undefined;
  #winner: Asked | undefined;
  #delivered = 0;

  constructor(call: Call, next: Next, pool: Pool, tools: RouteTools) {
    this.#call = call;
    this.#next = next;
    this.#pool = pool;
    this.#tools = tools;
    this.#question = new CallQuestion(call);
    this.#deadlineAt = Math.min(call.control.deadlineAt ?? Infinity, tools.clock.elapsed() + pool.rules.totalMs);
    this.#itinerary = new Itinerary(call, pool, this.#question, this.#deadlineAt, tools);
  }

  /** The whole answer. */
  async answer(): Promise<unknown> {
    const asked = await this.#win();
    const { answer } = asked.trial;
    const [whole] = (answer.mode === "invoke" ? answer.parts : this.#call.kind.convert(answer, "invoke")) as readonly unknown[];
    this.#sign(whole, asked);
    return whole;
  }

  /** The next part. */
  async next(): Promise<IteratorResult<unknown>> {
    const winner = (this.#winner ??= await this.#win());
    const { trial } = winner;
    if (this.#delivered === 0) await readyIn(this.#call.mode, trial, this.#call.kind);
    let result: IteratorResult<unknown>;
    try {
      result = await trial.next();
    } catch (error) {
      throw this.#broken(winner, error);
    }
    if (result.done) this.#endStream(winner);
    else {
      // Of a stream the first part is enough, since parts add up; each event stands for itself.
      if (this.#delivered === 0 || this.#call.mode === "events") this.#sign(result.value, winner);
      this.#delivered += 1;
    }
    return result;
  }

  #sign(part: unknown, { deployment }: Asked): void {
    if (this.#pool.isNamed) sign(part, deployment, this.#call.kind);
  }

  leave(): PromiseLike<unknown> | undefined {
    return [...this.#asked].map((asked) => asked.isOpen ? asked.leave("The caller left.") : undefined).find((left) => left !== undefined);
  }

  #win(): Promise<Asked> {
    const { budget, hedging, rules: { cascade } } = this.#pool;
    budget.called();
    hedging?.called();
    return cascade ? this.#cascaded(cascade).then((asked) => (asked ? this.#won(asked) : this.#routed())) : this.#routed();
  }

  async #routed(): Promise<Asked> {
    for (;;) {
      let deployment: Deployment;
      try {
        // Where somebody can be asked at once, that happens at once: whoever comes next sees that this call waits.
        const next = this.#itinerary.next();
        deployment = next instanceof Promise ? await next : next;
      } catch (error) {
        if (this.#reserve && !this.#call.signal?.aborted) return this.#won(this.#reserve);
        throw error;
      }
      const asked = await this.#ask(deployment, this.#mustBeWhole);
      if (asked) return this.#won(asked);
    }
  }

  /** The small deployment's answer, if it is good enough. */
  async #cascaded({ first: id, accept }: NonNullable<Pool["rules"]["cascade"]>): Promise<Asked | undefined> {
    const first = this.#itinerary.firstOf(id);
    // Whose answer it is must be clear: nobody else is asked besides.
    const asked = first && (await this.#ask(first, true, false));
    if (!asked) return undefined;
    const { kind, input } = this.#call;
    try {
      if (await raceAbort(accept(kind.whole(snapshotsOf(asked.trial, kind)), kind.question(input).asked), this.#call.signal)) return asked;
    } catch (error) {
      asked.end(undefined);
      throw error;
    }
    this.#failed(asked, "not-accepted", new Error("its answer was not accepted (cascade.accept)"));
    return undefined;
  }

  get #mustBeWhole(): boolean {
    return this.#call.mode === "invoke" || this.#pool.rules.onInterrupt === "hold";
  }

  /** Asks one deployment, and with hedging perhaps a second. @returns nothing when that brought no answer */
  async #ask(deployment: Deployment, mustBeWhole: boolean, mayHedge = this.#mayHedge()): Promise<Asked | undefined> {
    let asked = this.#start(deployment);
    try {
      const { hedging } = this.#pool;
      if (hedging && mayHedge) asked = await this.#hedged(asked, hedging);
      if (!mustBeWhole && asked.trial.answer.mode !== "invoke") return await this.#begun(asked);
      await asked.trial.finish();
      return this.#sound(asked);
    } catch (error) {
      this.#failedBy(asked, error);
      this.#call.signal?.throwIfAborted();
    }
    return undefined;
  }

  #hedged(asked: Asked, hedging: Hedging): Promise<Asked> {
    return hedged(asked, {
      hedging,
      clock: this.#tools.clock,
      second: (primary) => this.#second(primary),
      begun: (each) => this.#begun(each),
      failed: (...given) => this.#failedBy(...given),
    });
  }

  /** Once it has content, or has ended. @throws a flaw, where it has ended and is no answer */
  async #begun(asked: Asked): Promise<Asked> {
    await asked.trial.begin();
    return this.#sound(asked);
  }

  #sound(asked: Asked): Asked {
    const flaw = asked.trial.hasEnded ? flawOf(asked.trial, this.#call.kind, this.#pool.rules.contentFilter.length > 0) : undefined;
    if (flaw) throw flaw;
    return asked;
  }

  #start(deployment: Deployment): Asked {
    const { patience, hedge } = this.#pool.rules;
    const { kind, signal, facts: { model } } = this.#call;
    const id = this.#pool.isNamed ? deployment.id : undefined;
    const input = this.#itinerary.inputFor(deployment);
    const mode = this.#modeFor(input);
    const facts: AttemptFacts = { deployment: id ?? model ?? kind.name, attempt: 0, durationMs: 0 };
    const trial = new Trial({
      call: this.#call, next: this.#next, input, mode, patience, facts,
      deadlineAt: this.#deadlineAt,
      clock: this.#tools.clock,
      attempt: { deployment: id, isImpatient: this.#tools.isLimited && this.#itinerary.hasOthers(deployment) },
      began: () => {
        if (this.#note(facts)) asked.sent();
      },
      spoke: () => deployment.spoke(facts),
      isBreakable: mode !== "invoke" || signal !== undefined || hedge !== undefined || Math.min(this.#deadlineAt, patience.attemptMs) < Infinity,
    });
    const asked: Asked = new Asked(trial, deployment, this.#question, this.#pool.options.strategy, this.#tools);
    this.#asked.add(asked);
    return asked;
  }

  /** A request that is made is an attempt; one that its limits refuse is none. @returns whether it was not noted yet */
  #note(attempt: AttemptFacts): boolean {
    const { facts } = this.#call;
    if (attempt.attempt > 0) return false;
    facts.attempts = facts.attempts === NO_ATTEMPTS ? [attempt] : [...facts.attempts, attempt];
    attempt.attempt = facts.attempts.length;
    return true;
  }

  /** A whole answer is read in parts where it is timed by them, and one in parts is had whole from those who have no other. */
  #modeFor(input: unknown): Mode {
    const { mode, kind } = this.#call;
    const { patience, hedge } = this.#pool.rules;
    if (mode !== "invoke" && this.#pool.isNamed && kind.routing?.streams(input) === false) return "invoke";
    const isTimed = hedge !== undefined || Math.min(patience.firstTokenMs, patience.stallMs) < Infinity;
    return mode === "invoke" && isTimed && kind.routing?.hasParts(input) ? "stream" : mode;
  }

  #mayHedge(): boolean {
    const { kind: { routing }, input } = this.#call;
    return this.#pool.hedging !== undefined && routing !== undefined && !routing.hasSideEffects(input);
  }

  #second({ deployment }: Asked): Asked | undefined {
    const { hedging } = this.#pool;
    // Strategies count whom they name: nobody is named in vain.
    const other = hedging?.hasSome ? this.#itinerary.second(deployment) : undefined;
    if (!other || !hedging?.take()) return undefined;
    this.#call.facts.hedged = true;
    return this.#start(other);
  }

  #failedBy(asked: Asked, error: unknown): void {
    const { trial, deployment } = asked;
    if (!asked.isOpen) return;
    if (this.#call.signal?.aborted) asked.end("abandoned");
    else if (error instanceof Flaw) {
      if (error.isOfUse) this.#reserve = asked;
      this.#failed(asked, error.kind, error.error);
    } else if (PerfError.isInstance(error) && !trial.hasBegun && !trial.late) {
      // The limits have refused it before it was made.
      asked.end("abandoned");
      this.#itinerary.refused(deployment, error);
    } else this.#failed(asked, kindOf(trial, error), error);
  }

  #failed(asked: Asked, kind: FailureKind, error: unknown): void {
    const { deployment, trial: { told } } = asked;
    const retryAfterMs = this.#end(asked, kind, error);
    this.#itinerary.failed({ deployment, kind, error, retryAfterMs, told: told?.maxRetries });
  }

  /** Writes down what a request failed of, and draws conclusions for the calls to come. @returns when whoever refused wants to be asked again */
  #end(asked: Asked, kind: FailureKind, error: unknown): number | undefined {
    const { trial: { facts, status: heard, headers }, deployment } = asked;
    const status = statusOf(error) ?? (heard !== undefined && heard >= 400 ? heard : undefined);
    const retryAfterMs = kind === "rate-limited" ? this.#tools.retryAfterMs(error, heard, headers) : undefined;
    if (status !== undefined) facts.status = status;
    if (retryAfterMs !== undefined) facts.retryAfterMs = retryAfterMs;
    asked.end(kind);
    this.#pool.failed(deployment, kind, error, retryAfterMs);
    return retryAfterMs;
  }

  #won(asked: Asked): Asked {
    const { facts } = this.#call;
    if (this.#pool.isNamed) {
      const { id, options: { model, target } } = asked.deployment;
      facts.deployment = id;
      // Two of which nobody knows the models are not taken for one.
      const isAnother = model !== facts.model || (model === undefined && target !== this.#call.origin);
      if (isAnother) Object.assign(facts, { requestedModel: facts.model ?? UNNAMED, model });
    }
    if (asked.trial.hasEnded) asked.end(undefined);
    return asked;
  }

  /** A stream that ended by itself may have been cut all the same. */
  #endStream(asked: Asked): void {
    if (asked.isOpen && this.#call.kind.routing?.isCut(asked.trial.answer, asked.trial.input)) throw this.#broken(asked, undefined);
    asked.end(undefined);
  }

  /** What the caller is told of a stream that broke off after parts of it were given. */
  #broken(asked: Asked, error: unknown): unknown {
    const { trial } = asked;
    if (this.#call.signal?.aborted) {
      asked.end("abandoned");
      return error;
    }
    this.#end(asked, error === undefined ? "interrupted" : kindOf(trial, error), error);
    // Where nobody spoke of deployments, a model's own failure stays what it is.
    if (!this.#pool.isNamed && error !== undefined && !trial.late) return error;
    return new StreamInterruptedError(this.#delivered, "The stream", { partial: this.#partial(trial), cause: error });
  }

  #partial({ answer }: Trial): unknown {
    try {
      return this.#call.kind.whole(answer);
    } catch {
      return undefined;
    }
  }
}
