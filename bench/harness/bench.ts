/** What one figure means, and the bound that it was promised to keep. */
export interface FigureSpec {
  readonly about: string;
  readonly unit: string;
  /** The figure is within its bound when it is at most this. */
  readonly atMost?: number;
  /** The figure is within its bound when it is at least this. */
  readonly atLeast?: number;
  /** The figure is within its bound when it is exactly this. */
  readonly exactly?: number;
}

/** Figures that are measured together, in a process of their own. */
export interface FigureGroup {
  /** A module that exports `measure: Measure`, relative to the bench. */
  readonly module: string;
  readonly figures: Readonly<Record<string, FigureSpec>>;
}

/** One `bench/<name>.bench.ts`, as its default export. */
export interface Bench {
  readonly about: string;
  readonly groups: readonly FigureGroup[];
}

/** One figure as it was measured. */
export interface Measurement {
  readonly value: number;
  /** First and third quartile of the rounds. */
  readonly spread?: readonly [low: number, high: number];
  /** The absolute numbers behind a ratio, and whatever else a reader needs to judge it. */
  readonly note?: string;
}

export type Measurements = Readonly<Record<string, Measurement>>;
export type Measure = () => Promise<Measurements>;

/** Whether a value keeps its bounds; `undefined` when none was promised. */
export function isMet({ atMost, atLeast, exactly }: FigureSpec, value: number): boolean | undefined {
  if (exactly !== undefined) return value === exactly;
  if (atMost === undefined && atLeast === undefined) return undefined;
  return value <= (atMost ?? Infinity) && value >= (atLeast ?? -Infinity);
}
