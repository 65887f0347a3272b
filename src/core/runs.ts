import type { CallFacts, KindName, Usage } from "./facts.ts";
import type { RequestEstimate } from "./layer.ts";

/** A LangChain run as it starts. */
export interface RunStart {
  readonly runId: string;
  readonly parentRunId: string | undefined;
  readonly kind: KindName;
  readonly name: string;
  /** Parameters of a model call, as LangChain reports them. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly tags?: readonly string[];
  readonly toolCallId?: string;
  readonly input: unknown;
}

/** A LangChain run as it ends. */
export interface RunEnd {
  readonly error?: unknown;
  readonly output?: unknown;
}

/** Follows a program's runs, e.g. as spans. Failures inside never reach the program. */
export interface RunTracer {
  /** Whether anybody records at the moment; when not, nothing is paid. */
  readonly active: boolean;
  start(run: RunStart): void;
  end(runId: string, end: RunEnd): void;
  /** What is known about the call that the run made. */
  annotate(facts: CallFacts): void;
  /** Runs `work` so that what it starts is shown below this run. */
  within<T>(runId: string | undefined, work: () => T): T;
}

/** Holds back runs of which nothing is wrapped. */
export interface Gate {
  /** Waits until the run may start. @throws when it must not */
  enter(runId: string, estimate: RequestEstimate): Promise<void>;
  /** The run goes on. */
  heard(runId: string): void;
  ended(runId: string, usage: Usage | undefined, error?: unknown): void;
}
