import { run } from "../../../src/cli/run.ts";

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command as the shell would, on a terminal of its own. */
export async function command(...argv: string[]): Promise<Outcome> {
  return commandOn({}, ...argv);
}

/** @param own what the terminal has besides its two outputs */
export async function commandOn(own: { rewrites?: boolean; ended?: AbortSignal }, ...argv: string[]): Promise<Outcome> {
  const output = { stdout: "", stderr: "" };
  const code = await run(argv, {
    stdout: (text) => void (output.stdout += text),
    stderr: (text) => void (output.stderr += text),
    ended: new AbortController().signal,
    ...own,
  });
  return { code, ...output };
}
