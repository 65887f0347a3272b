import type { Terminal } from "./terminal.ts";

const REDRAW_MS = 80;
const LINES_MS = 5_000;

/** Tells how far something is: in one line that is written again where that is possible, else in a line every few seconds. */
export class Progress {
  readonly #terminal: Terminal;
  readonly #label: string;
  #toldAt = performance.now();
  #open = false;

  constructor(label: string, terminal: Terminal) {
    this.#label = label;
    this.#terminal = terminal;
  }

  update(done: number, total: number | undefined): void {
    const { rewrites = false } = this.#terminal;
    const now = performance.now();
    if (now - this.#toldAt < (rewrites ? REDRAW_MS : LINES_MS) && done !== total) return;
    this.#toldAt = now;
    const text = `${this.#label} ${done}${total === undefined ? "" : `/${total} (${Math.floor((done / total) * 100)}%)`}`;
    this.#terminal.stderr(rewrites ? `\r\u001B[2K${text}` : `${text}\n`);
    this.#open = rewrites;
  }

  /** What is written next begins a line. */
  end(): void {
    if (this.#open) this.#terminal.stderr("\n");
    this.#open = false;
  }
}
