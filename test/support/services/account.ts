import { readFileSync } from "node:fs";

/** A user of this machine, as `spawn` wants it. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The first of these users that exists, when we are root, whom database servers refuse to run as; otherwise `undefined`: ourselves. */
export function unprivileged(...names: readonly string[]): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"));
  for (const name of names) {
    const user = users.find(([found]) => found === name);
    if (user) return { uid: Number(user[2]), gid: Number(user[3]) };
  }
  throw new Error(`This machine has none of the users ${names.join(", ")}: run the tests as somebody else than root.`);
}
