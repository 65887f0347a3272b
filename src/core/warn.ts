/** Says that a helper failed and what that meant for the call, which goes on. */
export function warn(consequence: string, error: unknown): void {
  process.emitWarning(`langchain-perf: ${consequence}: ${String(error)}`);
}
