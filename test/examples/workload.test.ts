import { describe, expect, it } from "vitest";
import { loadCustomerMessages, loadDocumentation, loadLabelledQuestions } from "../../examples/data/load.ts";
import { programs } from "../../examples/demo/programs.ts";
import { drawQuestions, seededRandom } from "../../examples/demo/workload.ts";

describe("the examples' data", () => {
  it("is complete", () => {
    expect(loadDocumentation()).toHaveLength(232);
    expect(loadLabelledQuestions()).toHaveLength(100);
    expect(loadCustomerMessages()).toHaveLength(10_003);
    expect(new Set(loadCustomerMessages().map(({ intent }) => intent)).size).toBe(77);
  });

  it("labels questions with chunks that exist", () => {
    const links = new Set(loadDocumentation().map(({ chunk_link }) => chunk_link));
    const answerable = loadLabelledQuestions().filter(({ correct_chunks }) => correct_chunks.some((link) => links.has(link)));
    expect(answerable.length).toBeGreaterThanOrEqual(95);
  });
});

describe.each(Object.entries(programs))("the workload of %s", (_, program) => {
  it("has as many questions as asked for, and is the same for the same seed alone", () => {
    const workload = program.draw(97, seededRandom(7));
    expect(workload.flat()).toHaveLength(97);
    expect(workload.flat()).not.toContain("");
    expect(program.draw(97, seededRandom(7))).toEqual(workload);
    expect(program.draw(97, seededRandom(8))).not.toEqual(workload);
  });

  it("asks nothing twice in one conversation, and not what it warms up with", () => {
    const workload = program.draw(300, seededRandom(1));
    for (const conversation of workload) expect(new Set(conversation).size).toBe(conversation.length);
    expect(workload.flat()).not.toContain(program.warmUp);
  });
});

it("draws by Zipf's law", () => {
  const questions = Array.from({ length: 10 }, (_, at) => `question ${at}`);
  const asked = new Map<string, number>();
  for (const question of drawQuestions(questions, 100_000, seededRandom(3)).flat()) asked.set(question, (asked.get(question) ?? 0) + 1);
  const shares = [...asked.values()].sort((left, right) => right - left).map((count) => count / 100_000);
  const harmonic = questions.reduce((sum, _, rank) => sum + 1 / (rank + 1), 0);
  shares.forEach((share, rank) => expect(share).toBeCloseTo(1 / (rank + 1) / harmonic, 2));
});
