import { afterEach, describe, expect, it, vi } from "vitest";
import { OwnStrategy, type RoutingStrategy } from "../../../src/layers/route/own-strategy.ts";
import { VirtualTime } from "../../support/virtual-time.ts";
import { answers, World } from "./support/route-world.ts";

afterEach(() => void vi.restoreAllMocks());

function world(choose: RoutingStrategy): World {
  return new World({ a: { attempts: [answers()], tags: ["us"] }, b: { attempts: [answers()], tags: ["eu"], weight: 2 }, c: { attempts: [answers()], priority: 1 } }, { strategy: new OwnStrategy(choose, new VirtualTime()) });
}

describe("a strategy of the user's own", () => {
  it("is told how those are that may be asked, and of the question, and names one of them", async () => {
    const told: Parameters<RoutingStrategy>[] = [];
    const made = world((...given) => (told.push(given), given[0].find(({ tags }) => tags.includes("eu"))!.id));
    expect((await made.answer({ control: { session: "thread", tenant: "acme" } })).outcome).toBe("b");
    const [deployments, question] = told[0]!;
    expect(deployments).toMatchObject([{ id: "a", circuit: "closed", inFlight: 0 }, { id: "b", weight: 2, model: "model of b" }]);
    expect(question).toEqual({ inputTokens: 2, model: "asked", session: "thread", tenant: "acme" });
  });

  it.each([
    ["throws", () => { throw new Error("oops"); }],
    ["names nobody", () => undefined],
    ["names one that may not be asked", () => "c"],
    ["gives a promise", () => Promise.resolve("b")],
    ["gives a promise that fails", () => Promise.reject(new Error("oops"))],
  ])("that %s keeps no call from its answer", async (_what, choose) => {
    vi.spyOn(process, "emitWarning").mockReturnValue();
    expect((await world(choose as unknown as RoutingStrategy).answer()).outcome).toBe("a");
  });
});
