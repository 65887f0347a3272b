/** The command line asks for something that there is not. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** The command line is right and the world is not: one line says what failed. */
export class Failure extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Failure";
  }
}

/** What lies at the bottom of an error, in one line. */
export function rootOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return rootOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined && error.cause !== null) return rootOf(error.cause);
  return (error.message || error.name).split("\n", 1)[0] as string;
}
