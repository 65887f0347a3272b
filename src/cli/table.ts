/** A column: its head, and to which side its cells lean. */
export interface Column {
  readonly head: string;
  readonly right?: boolean;
}

/** Rows below heads, aligned; no space at the ends of lines. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ head }, at) => Math.max(head.length, ...rows.map((row) => (row[at] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    columns.map(({ right }, at) => (right ? (cells[at] ?? "").padStart(widths[at] ?? 0) : (cells[at] ?? "").padEnd(widths[at] ?? 0))).join("  ").trimEnd();
  return [columns.map(({ head }) => head), widths.map((width) => "─".repeat(width)), ...rows].map((cells) => `${line(cells)}\n`).join("");
}

/** What is not known. */
export const NOTHING = "–";

/** Bytes for people. */
export function size(bytes: number | undefined): string {
  if (bytes === undefined) return NOTHING;
  if (bytes < 1024) return `${bytes} B`;
  const unit = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** unit;
  return `${value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 1 : 0 })} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

const SPANS: readonly (readonly [unit: string, milliseconds: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
];

/** A time span for people, in its largest unit, e.g. `3 h`. */
export function span(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "for ever";
  const [unit, length] = SPANS.find(([, atLeast]) => milliseconds >= atLeast) ?? ["s", 1_000];
  return `${Math.floor(milliseconds / length).toLocaleString("en-US")} ${unit}`;
}

/** A count for people. */
export function count(value: number | undefined): string {
  return value === undefined ? NOTHING : value.toLocaleString("en-US");
}

/** Text that cannot steer a terminal: what a cache holds was written by others. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\t\n]/gu, "\uFFFD");
}
