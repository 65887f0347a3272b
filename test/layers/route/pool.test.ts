import { describe, expect, it, vi } from "vitest";
import type { CircuitOptions } from "../../../src/layers/route/circuit.ts";
import type { Deployment, ResolvedDeployment } from "../../../src/layers/route/deployment.ts";
import { Pool, type PoolHost } from "../../../src/layers/route/pool.ts";
import type { HealthNews, SharedHealth } from "../../../src/stores/health.ts";
import { VirtualTime } from "../../support/virtual-time.ts";
import { outcomeOf, questionOf } from "./strategies/world.ts";
import { deploymentOf, inOrder, rulesOf } from "./support/route-world.ts";

const CIRCUIT: CircuitOptions = { failureRate: 0.5, minCalls: 2, windowMs: 10_000, openMs: 1_000, halfOpenProbes: 1 };

class Lab {
  readonly time = new VirtualTime(100);
  readonly pool: Pool;
  readonly told: HealthNews[] = [];
  readonly events: string[] = [];
  readonly host: PoolHost;
  random = 0;

  constructor(deployments: Record<string, Partial<ResolvedDeployment>>, { number = 0 }: { number?: number | undefined } = {}) {
    this.host = {
      clock: this.time,
      random: () => this.random,
      circuitChanged: ({ id }, from, to) => void this.events.push(`${id}: ${from} to ${to}`),
      disabled: ({ id }, kind) => void this.events.push(`${id}: ${kind}`),
      quotaUsed: () => undefined,
      costOf: () => undefined,
      shared: { tell: (news) => void this.told.push(news), load: () => 0 } as Partial<SharedHealth> as SharedHealth,
    };
    this.pool = this.make(deployments, number);
  }

  make(deployments: Record<string, Partial<ResolvedDeployment>>, number: number | undefined, before?: Pool): Pool {
    const resolved = Object.entries(deployments).map(([id, changes]) => deploymentOf(id, changes));
    return new Pool({ number, takes: () => true, rules: rulesOf({ rules: { circuit: CIRCUIT } }), strategy: inOrder, deployments: resolved }, this.host, before);
  }

  find(id: string): Deployment {
    return this.pool.find(id) as Deployment;
  }

  get next(): string | undefined {
    return this.pool.pick(questionOf({}), () => true)?.id;
  }

  fail(id: string): void {
    const deployment = this.find(id);
    deployment.ended(deployment.begin(), questionOf({}), outcomeOf({ totalMs: 1, end: "failed" }), true);
  }

  succeed(id: string): void {
    const deployment = this.find(id);
    deployment.ended(deployment.begin(), questionOf({}), outcomeOf({ totalMs: 1 }), false);
  }
}

describe("who of a pool is asked next", () => {
  it("is one of the first tier in which anybody can be asked", () => {
    const lab = new Lab({ late: { priority: 2 }, early: {}, other: { priority: 1 } });
    expect(lab.next).toBe("early");
    lab.find("early").setAside(500, lab.time.elapsed());
    expect(lab.next).toBe("other");
    expect(lab.pool.pick(questionOf({}), ({ id }) => id === "late")?.id).toBe("late");
    expect(lab.pool.pick(questionOf({}), () => false)).toBeUndefined();
  });

  it("is chosen by the strategy among those of that tier alone", () => {
    const lab = new Lab({ late: { priority: 2 }, early: {}, other: { priority: 1 }, too: {} });
    const offered = vi.spyOn(lab.pool.options.strategy, "pick");
    expect(lab.next).toBe("early");
    expect(offered.mock.calls.map(([candidates]) => candidates.map(({ id }) => id))).toEqual([["early", "too"]]);
    offered.mockRestore();
  });

  it("is one that is disabled only when no other can be asked", () => {
    const lab = new Lab({ a: {}, b: { priority: 7 } });
    lab.pool.failed(lab.find("a"), "auth", new Error("401"), undefined);
    expect([lab.next, lab.events]).toEqual(["b", ["a: auth"]]);
    lab.find("b").setAside(500, lab.time.elapsed());
    expect(lab.next).toBe("a");
  });

  it("is one whose circuit wants to be tried, whatever the strategy would say, and then none but the others", async () => {
    const lab = new Lab({ a: {}, b: {} });
    lab.fail("b");
    lab.fail("b");
    expect(lab.next).toBe("a");
    await lab.time.pass(1_000);
    expect(lab.next).toBe("b");
    lab.find("b").begin();
    expect(lab.next).toBe("a");
  });

  it("is one that has just recovered as often as its share says", async () => {
    const lab = new Lab({ a: {}, b: {} });
    lab.fail("a");
    lab.fail("a");
    await lab.time.pass(1_000);
    lab.succeed("a");
    for (const [later, random, next] of [[0, 0.09, "a"], [0, 0.11, "b"], [500, 0.49, "a"], [500, 0.51, "b"], [1_000, 0.99, "a"]] as const) {
      await lab.time.pass(1_100 + later - lab.time.elapsed());
      lab.random = random;
      expect([later, random, lab.next]).toEqual([later, random, next]);
    }
  });

  it("is one that has just recovered where there is no other", async () => {
    const lab = new Lab({ a: {}, b: {} });
    for (const id of ["a", "a", "b", "b"]) lab.fail(id);
    await lab.time.pass(1_000);
    lab.succeed("a");
    lab.succeed("b");
    lab.random = 0.99;
    expect(lab.next).toBe("a");
  });

  it("is known to come where one has asked for patience, and not where a circuit is open or one is being drained", () => {
    const lab = new Lab({ a: {}, b: {}, c: {} });
    lab.find("a").setAside(800, lab.time.elapsed());
    lab.fail("b");
    lab.fail("b");
    void lab.pool.drain(lab.find("c"));
    expect(lab.pool.soonestMs(() => true)).toBe(800);
    expect(lab.pool.soonestMs(({ id }) => id !== "a")).toBe(Infinity);
  });
});

describe("a failure in a pool", () => {
  it("is told to other processes where it says something of the deployment", () => {
    const lab = new Lab({ a: {}, b: {} });
    lab.pool.failed(lab.find("a"), "rate-limited", new Error("429"), 700);
    lab.pool.failed(lab.find("b"), "quota", new Error("429"), undefined);
    lab.pool.failed(lab.find("b"), "server", new Error("500"), undefined);
    expect(lab.told).toEqual([
      { deployment: "a", kind: "aside", untilMs: 700, reason: "rate limited" },
      { deployment: "b", kind: "disabled", untilMs: 300_000, reason: "quota" },
    ]);
  });

  it("says nothing of anybody where nobody spoke of deployments", () => {
    const lab = new Lab({ a: {} }, { number: undefined });
    const pool = lab.make({ a: {} }, undefined);
    pool.failed(pool.find("a") as Deployment, "rate-limited", new Error("429"), 700);
    expect([lab.told, pool.soonestMs(() => true), pool.isNamed]).toEqual([[], 0, false]);
  });

  it("that opens a circuit is told once, and its end too", async () => {
    const lab = new Lab({ a: {} });
    lab.fail("a");
    lab.fail("a");
    await lab.time.pass(1_000);
    lab.succeed("a");
    expect(lab.told.map(({ kind, untilMs }) => [kind, untilMs])).toEqual([["open", 1_000], ["closed", undefined]]);
    expect(lab.events).toEqual(["a: closed to open", "a: open to half-open", "a: half-open to closed"]);
  });
});

describe("what other processes have found out", () => {
  it("holds here, and is not told again", () => {
    const lab = new Lab({ a: {}, b: {}, c: {} });
    lab.pool.hear({ deployment: "a", kind: "open", untilMs: 400, reason: "it fails" });
    expect([lab.find("a").waitMs(lab.time.elapsed()), lab.next]).toEqual([400, "b"]);
    lab.pool.hear({ deployment: "b", kind: "aside", untilMs: 300, reason: "rate limited" });
    expect([lab.find("b").waitMs(lab.time.elapsed()), lab.find("b").whyNot(lab.time.elapsed())]).toEqual([300, "rate limited, as another process was told"]);
    lab.pool.hear({ deployment: "c", kind: "disabled", reason: "auth" });
    expect(lab.find("c").disabledFor(lab.time.elapsed() + 299_999)).toBe("auth");
    lab.pool.hear({ deployment: "a", kind: "closed", reason: "it works" });
    expect(lab.next).toBe("a");
    lab.pool.hear({ deployment: "unknown", kind: "open", untilMs: 400, reason: "it fails" });
    expect(lab.told).toEqual([]);
    expect(lab.events).toEqual(["a: closed to open", "a: open to closed"]);
  });

  it("takes back that one is disabled", () => {
    const lab = new Lab({ a: {}, b: {} });
    lab.pool.hear({ deployment: "a", kind: "disabled", untilMs: 60_000, reason: "auth" });
    expect(lab.next).toBe("b");
    lab.pool.hear({ deployment: "a", kind: "closed", reason: "it works" });
    expect(lab.next).toBe("a");
  });
});

describe("a pool at run time", () => {
  it("has one more deployment, with an index of its own", async () => {
    const lab = new Lab({ a: {}, b: {} });
    await lab.pool.drain(lab.find("b"));
    lab.pool.add(deploymentOf("c"));
    expect(lab.pool.deployments.map(({ id, index }) => [id, index])).toEqual([["a", 0], ["c", 2]]);
  });

  it("asks one that is being drained no more, and lets it go when it has answered", async () => {
    const lab = new Lab({ a: {}, b: {} });
    const passage = lab.find("a").begin();
    const drained = lab.pool.drain(lab.find("a"));
    expect([lab.next, lab.pool.deployments.length]).toEqual(["b", 2]);
    lab.find("a").ended(passage, questionOf({}), outcomeOf({ totalMs: 1 }), false);
    await drained;
    expect(lab.pool.find("a")).toBeUndefined();
  });

  it("goes on from the pool before with the deployments that are the same: the same id and the same model", () => {
    const [one, other] = [{}, {}];
    const lab = new Lab({ a: { target: one }, b: { target: one } });
    lab.find("a").setAside(900, lab.time.elapsed());
    lab.find("b").setAside(900, lab.time.elapsed());
    const next = lab.make({ a: { target: one }, b: { target: other }, c: {} }, 0, lab.pool);
    expect(next.deployments.map((deployment) => deployment.waitMs(lab.time.elapsed()))).toEqual([900, 0, 0]);
  });
});
