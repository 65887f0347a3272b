import { styleText } from "node:util";
import type { Figures } from "./figures.ts";

interface Row {
  label: string;
  value(figures: Figures): number | undefined;
  format(value: number): string;
  better: "lower" | "higher";
}

/** A duration for people. */
export const milliseconds = (value: number): string => `${value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 1 : 0 })} ms`;
const count = (value: number): string => value.toLocaleString("en-US");
const dollars = (value: number): string => `$${value.toFixed(4)}`;
const share = (value: number): string => `${(value * 100).toFixed(1)}%`;

const rows: Row[] = [
  { label: "latency p50", value: ({ p50Ms }) => p50Ms, format: milliseconds, better: "lower" },
  { label: "latency p95", value: ({ p95Ms }) => p95Ms, format: milliseconds, better: "lower" },
  { label: "latency p99", value: ({ p99Ms }) => p99Ms, format: milliseconds, better: "lower" },
  { label: "first token p50", value: ({ firstTokenP50Ms }) => firstTokenP50Ms, format: milliseconds, better: "lower" },
  { label: "first token p95", value: ({ firstTokenP95Ms }) => firstTokenP95Ms, format: milliseconds, better: "lower" },
  { label: "throughput", value: ({ requestsPerSecond }) => requestsPerSecond, format: (value) => `${value.toFixed(1)} /s`, better: "higher" },
  { label: "upstream chat calls", value: ({ chatCalls }) => chatCalls, format: count, better: "lower" },
  { label: "upstream embeddings calls", value: ({ embeddingsCalls }) => embeddingsCalls || undefined, format: count, better: "lower" },
  { label: "input tokens", value: ({ inputTokens }) => inputTokens, format: count, better: "lower" },
  { label: "output tokens", value: ({ outputTokens }) => outputTokens, format: count, better: "lower" },
  { label: "cost", value: ({ costUsd }) => costUsd, format: dollars, better: "lower" },
  { label: "cache hit rate", value: ({ hitRate }) => hitRate, format: share, better: "higher" },
  { label: "shared in flight", value: ({ coalescedRate }) => coalescedRate, format: share, better: "higher" },
];

const WIDTHS = [27, 14, 14, 12] as const;

/** The figures of both sides, one row each, with the change from bare to wrapped. */
export function renderTable(bare: Figures, wrapped: Figures, stream: NodeJS.WriteStream): string {
  const rule = styleText("dim", `  ${"─".repeat(WIDTHS.reduce((sum, width) => sum + width, 0))}`, { stream });
  const head = styleText("bold", line(["", "bare", "wrapped", "change"]), { stream });
  const body = rows.flatMap((row) => {
    const [before, after] = [row.value(bare), row.value(wrapped)];
    if (before === undefined && after === undefined) return [];
    const cells = line([row.label, before === undefined ? "–" : row.format(before), after === undefined ? "–" : row.format(after)]);
    return [cells + changeCell(before, after, row.better, stream)];
  });
  return [rule, head, rule, ...body, rule].join("\n");
}

/** The change as a share of the value before it, with its sign. */
export function formatChange(before: number, after: number): string {
  if (before === after) return "same";
  if (before === 0) return "–";
  const percent = (after / before - 1) * 100;
  const fine = Math.abs(percent) < 10 || (percent < -99 && percent > -100);
  const size = Math.abs(percent).toLocaleString("en-US", { maximumFractionDigits: fine ? 1 : 0 });
  return size === "0" ? "0%" : `${percent < 0 ? "−" : "+"}${size}%`;
}

function changeCell(before: number | undefined, after: number | undefined, better: Row["better"], stream: NodeJS.WriteStream): string {
  if (before === undefined || after === undefined) return "";
  const cell = formatChange(before, after).padStart(WIDTHS[3]);
  if (before === after) return cell;
  return styleText(after < before === (better === "lower") ? "green" : "red", cell, { stream });
}

function line([label = "", ...values]: string[]): string {
  return `  ${label.padEnd(WIDTHS[0])}${values.map((value, at) => value.padStart(WIDTHS[at + 1] ?? 0)).join("")}`;
}
