import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PromptCache } from "../../../../src/testing/prompt-cache.ts";
import { blocksOf, SeenBlocks } from "../../../../src/layers/route/strategies/prompt-blocks.ts";
import { questionOf, World } from "./world.ts";

/** A text of so many tokens that no other has. */
function textOf(tokens: number, name: string | number): string {
  return `${name} lorem ipsum dolor `.repeat(tokens).slice(0, tokens * 4);
}

/** The last minute's requests, as long as the world's clock stands. */
function quieten(world: World): void {
  for (const deployment of world.deployments) deployment.requestsOfLate = 0;
}

describe("session", () => {
  const sessions = Array.from({ length: 1_000 }, (_, at) => questionOf({ session: `session ${at}` }));
  const placesIn = (world: World, without?: number): number[] =>
    sessions.map((question) => {
      quieten(world);
      return world.ask(question, world.deployments.filter(({ index }) => index !== without)).index;
    });

  it("moves nobody but the sessions of the deployment that is gone", () => {
    const world = new World("session", [{}, {}, {}, {}]);
    const before = placesIn(world);
    const after = placesIn(world, 2);
    for (const [at, place] of before.entries()) {
      if (place !== 2) expect(after[at]).toBe(place);
    }
    expect(placesIn(world)).toEqual(before);
  });

  it("gives a new deployment no more than its share, taken from all others", () => {
    const before = placesIn(new World("session", [{}, {}, {}]));
    const after = placesIn(new World("session", [{}, {}, {}, {}]));
    const moved = after.filter((place, at) => place !== before[at]);
    expect(moved.every((place) => place === 3)).toBe(true);
    expect(moved.length / sessions.length).toBeCloseTo(0.25, 1);
  });

  it("shares sessions by weight", () => {
    const places = placesIn(new World("session", [{ weight: 5 }, { weight: 3 }, { weight: 2 }]));
    const shares = [0, 1, 2].map((index) => places.filter((place) => place === index).length / 100);
    expect(shares).toEqual([expect.closeTo(5, 0), expect.closeTo(3, 0), expect.closeTo(2, 0)]);
  });

  it("knows a conversation by its first two texts where it has no name", () => {
    const world = new World("session", Array.from({ length: 8 }, () => ({})));
    const opening = (at: number): string[] => [textOf(2_000, "system"), `question ${at}`];
    const places = Array.from({ length: 50 }, (_, at) => world.ask(questionOf({ texts: opening(at) })).index);
    expect(new Set(places).size).toBe(8);
    quieten(world);
    for (const [at, place] of places.entries()) expect(world.ask(questionOf({ texts: [...opening(at), "an answer", "another question"] })).index).toBe(place);
  });

  it("looks at as many texts as the opening has, where tools stand before it", () => {
    const world = new World("session", Array.from({ length: 8 }, () => ({})));
    const opening = (at: number): string[] => ["tools", "system", `question ${at}`];
    const places = Array.from({ length: 50 }, (_, at) => world.ask(questionOf({ texts: opening(at), openingTexts: 3 })).index);
    expect(new Set(places).size).toBe(8);
    quieten(world);
    for (const [at, place] of places.entries()) expect(world.ask(questionOf({ texts: [...opening(at), "an answer"], openingTexts: 3 })).index).toBe(place);
  });

  it("passes over whoever has more than its share bears, but not for a few requests", () => {
    const world = new World("session", [{}, {}]);
    const question = questionOf({ session: "the only one" });
    const home = world.ask(question);
    const few = Array.from({ length: 19 }, () => world.ask(question));
    expect(few.every((picked) => picked === home)).toBe(true);
    for (let more = 0; more < 1_000; more++) world.ask(question);
    expect(home.picks).toBeGreaterThan(500);
    expect(home.picks).toBeLessThanOrEqual(1.25 * 510 + 21);
  });
});

describe("prefix-affinity", () => {
  it("goes where the longest part of the prompt has been seen", () => {
    const world = new World("prefix-affinity", [{}, {}, {}]);
    const system = textOf(1_000, "system");
    const first = world.ask(questionOf({ texts: [system, textOf(500, "first question")] }));
    for (const other of world.deployments) {
      if (other !== first) world.strategy.sent?.(other, questionOf({ texts: [system] }));
    }
    const next = questionOf({ texts: [system, textOf(500, "first question"), textOf(300, "answer"), "and now?"] });
    for (let time = 0; time < 5; time++) expect(world.ask(next)).toBe(first);
  });

  it("asks by load who knows as much as others, also where prompts are too short to be kept", () => {
    const world = new World("prefix-affinity", [{ requestsOfLate: 5 }, { requestsOfLate: 3, weight: 0.5 }, { requestsOfLate: 4 }]);
    expect(world.ask(questionOf({ texts: ["short"] })).index).toBe(2);
  });

  it("never lets a deployment have more of a minute's requests than 25% above the mean, and a few", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 8 }), fc.nat(1_000), fc.integer({ min: 1, max: 5 }), (count, seed, prompts) => {
        const world = new World("prefix-affinity", Array.from({ length: count }, () => ({})), { seed });
        const questions = Array.from({ length: prompts }, (_, at) => questionOf({ texts: [textOf(2_000, at)] }));
        for (let time = 0; time < 1_000; time++) world.ask(questions[Math.floor(world.random() * prompts)]);
        // At 1.25 × the mean a prompt that is known whole costs as much as one that is not known at all.
        for (const { picks } of world.deployments) expect(picks).toBeLessThanOrEqual((1.25 * 1_000) / count + 10 + 2);
      }),
      { seed: 20_261_129, numRuns: 30 },
    );
  });

  it("leaves a conversation that is alone where it is", () => {
    const world = new World("prefix-affinity", Array.from({ length: 8 }, () => ({})));
    const turns = Array.from({ length: 10 }, (_, at) => textOf(300, `turn ${at}`));
    const places = turns.map((_, at) => world.ask(questionOf({ texts: turns.slice(0, at + 1) })).index);
    expect(new Set(places).size).toBe(1);
  });

  it("has far fewer tokens read than round-robin, at like loads", () => {
    const play = (name: "prefix-affinity" | "round-robin"): { missed: number; imbalance: number } => {
      const world = new World(name, Array.from({ length: 4 }, () => ({})), { seed: 5 });
      const caches = world.deployments.map(() => new PromptCache({ maxBlocks: 1_500 }));
      const conversations = Array.from({ length: 60 }, (_, at) => [textOf(1_500, `system ${at % 5}`)]);
      let missed = 0;
      for (let time = 0; time < 1_200; time++) {
        if (time % 300 === 0) quieten(world);
        const texts = conversations[Math.floor(world.random() * 60)] as string[];
        texts.push(textOf(200, `turn ${time}`));
        const { index } = world.ask(questionOf({ texts: [...texts] }));
        missed += texts.join("").length / 4 - (caches[index] as PromptCache).read("m", texts.join(""));
      }
      return { missed, imbalance: Math.max(...world.deployments.map(({ picks }) => picks)) / 300 };
    };
    const [affinity, robin] = [play("prefix-affinity"), play("round-robin")];
    expect(affinity.missed / robin.missed).toBeLessThan(0.5);
    expect(affinity.imbalance).toBeLessThanOrEqual(1.25);
  });
});

describe("the blocks of a prompt", () => {
  it("are the same as far as two prompts are, however they go on", () => {
    const texts = fc.array(fc.string({ minLength: 0, maxLength: 1_500 }), { maxLength: 5 });
    fc.assert(
      fc.property(texts, texts, (start, rest) => {
        const whole = blocksOf([...start, ...rest]);
        const known = blocksOf(start);
        expect(whole.slice(0, known.length)).toEqual(known);
        expect(known).toHaveLength(Math.floor(start.join("").length / 512));
      }),
      { seed: 20_261_129 },
    );
  });

  it("depend on everything before their end", () => {
    const text = textOf(1_024, "a");
    const changed = `b${text.slice(1)}`;
    const [before, after] = [blocksOf([text]), blocksOf([changed])];
    expect(before).toHaveLength(8);
    for (const [at, block] of before.entries()) expect(after[at]).not.toBe(block);
    expect(blocksOf([text.slice(0, 600), text.slice(600)])).toHaveLength(8);
  });

  it("are remembered up to a number, the ends of the oldest prompts being forgotten first", () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 12 }), { maxLength: 40 }), fc.integer({ min: 1, max: 20 }), (prompts, maxBlocks) => {
        const seen = new SeenBlocks(maxBlocks);
        // A block is what leads to it.
        const chained = prompts.map((prompt) => prompt.map((_, at) => Number(`1${prompt.slice(0, at + 1).join("")}`)));
        for (const blocks of chained) {
          seen.add(blocks);
          expect(seen.size).toBeLessThanOrEqual(maxBlocks);
          expect(seen.prefixOf(blocks)).toBe(Math.min(blocks.length, maxBlocks));
        }
        for (const blocks of chained) expect(seen.prefixOf(blocks)).toBeLessThanOrEqual(blocks.length);
      }),
      { seed: 20_261_129 },
    );
  });
});
