import { cpus, loadavg } from "node:os";
import { isMet, type FigureSpec, type Measurement } from "./bench.ts";

/** A figure with what was measured. */
export interface Row {
  readonly name: string;
  readonly spec: FigureSpec;
  readonly measured: Measurement;
}

const COLUMNS = ["figure", "value", "unit", "bound", "met", "spread"] as const;

/** The figures as a table, and below it what they mean. */
export function table(rows: readonly Row[]): string {
  const cells = [COLUMNS, ...rows.map(cellsOf)];
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  "));
  lines.splice(1, 0, widths.map((width) => "─".repeat(width)).join("  "));
  const notes = rows.map(({ name, spec, measured }) => `${name}: ${spec.about}${measured.note === undefined ? "" : ` (${measured.note})`}`);
  return [...lines, "", ...notes].join("\n");
}

function cellsOf({ name, spec, measured: { value, spread } }: Row): string[] {
  const met = isMet(spec, value);
  return [name, shown(value), spec.unit, boundOf(spec), met === undefined ? "" : met ? "yes" : "no", spread ? `${shown(spread[0])} … ${shown(spread[1])}` : ""];
}

function boundOf({ atMost, atLeast, exactly }: FigureSpec): string {
  const bounds: readonly (readonly [sign: string, bound: number | undefined])[] = [["=", exactly], ["≥", atLeast], ["≤", atMost]];
  return bounds.flatMap(([sign, bound]) => (bound === undefined ? [] : [`${sign} ${shown(bound)}`])).join(", ");
}

export function shown(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 4, maximumFractionDigits: 3 });
}

/** Where it was measured. */
export function machine(): string {
  const [first] = cpus();
  return `${first?.model.trim() || process.arch}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`;
}

/** The line for programs. */
export function jsonLine(bench: string, rows: readonly Row[]): string {
  return JSON.stringify({ bench, figures: Object.fromEntries(rows.map(({ name, measured }) => [name, Number(measured.value.toPrecision(4))])) });
}
