import { type Figures, summarize } from "./figures.ts";
import type { Flags } from "./flags.ts";
import { play } from "./play.ts";
import { type ProgramName, programs } from "./programs.ts";
import { silent, startProgress } from "./progress.ts";
import { seededRandom } from "./workload.ts";

/** A question to which the two sides gave different answers. */
export interface Difference {
  question: string;
  bare?: string;
  wrapped?: string;
}

/** Both sides of one program. */
export interface ProgramResult {
  program: ProgramName;
  questions: number;
  differences: Difference[];
  bare: Figures;
  wrapped: Figures;
}

/** Plays one workload bare and then wrapped. */
export async function compareSides(name: ProgramName, flags: Flags): Promise<ProgramResult> {
  const program = programs[name];
  const workload = program.draw(flags.requests, seededRandom(flags.seed));
  const quiet = flags.json && !process.stderr.isTTY;
  const playSide = async (wrapped: boolean) => {
    const label = `  ${name.padEnd(10)}${wrapped ? "wrapped" : "bare   "}`;
    const progress = quiet ? silent : startProgress(label, flags.requests, process.stderr);
    const played = await play(program, workload, wrapped, { ...flags, onAnswer: progress.update });
    progress.end();
    return played;
  };
  const bare = await playSide(false);
  const wrapped = await playSide(true);
  if (!quiet) process.stderr.write("\n");

  const differences = workload.flatMap((questions, conversation) =>
    questions
      .map((question, turn) => ({ question, bare: bare.answers[conversation]?.[turn], wrapped: wrapped.answers[conversation]?.[turn] }))
      .filter((pair) => pair.bare !== pair.wrapped),
  );
  return { program: name, questions: flags.requests, differences, bare: summarize(bare.observations), wrapped: summarize(wrapped.observations) };
}
