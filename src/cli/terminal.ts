/** Where a command writes to and hears the signals that end it. */
export interface Terminal {
  stdout(text: string): void;
  stderr(text: string): void;
  /** Whether a line of stderr can be written again. */
  readonly rewrites?: boolean;
  /** Aborts when the command should end. */
  ended: AbortSignal;
}
