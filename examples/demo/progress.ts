const BAR_CELLS = 28;
const REDRAW_MS = 80;

/** Tells how far one side of one program is. */
export interface Progress {
  update(done: number): void;
  end(): void;
}

/** A bar that redraws itself on a terminal, one line at the end elsewhere. */
export function startProgress(label: string, total: number, out: NodeJS.WriteStream): Progress {
  const start = performance.now();
  let done = 0;
  let drawnAt = -Infinity;
  const seconds = (): string => `${((performance.now() - start) / 1_000).toFixed(1)} s`;
  const draw = (): void => {
    const filled = Math.round((done / total) * BAR_CELLS);
    out.write(`\r\x1b[2K${label}  ${"█".repeat(filled)}${"░".repeat(BAR_CELLS - filled)}  ${done}/${total}  ${seconds()}`);
  };
  if (out.isTTY) draw();
  return {
    update(now) {
      done = now;
      if (!out.isTTY || performance.now() - drawnAt < REDRAW_MS) return;
      drawnAt = performance.now();
      draw();
    },
    end() {
      if (out.isTTY) draw();
      out.write(out.isTTY ? "\n" : `${label}  ${done}/${total}  ${seconds()}\n`);
    },
  };
}

/** For a reader that wants no progress. */
export const silent: Progress = { update() {}, end() {} };
