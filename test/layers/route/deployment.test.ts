import { describe, expect, it } from "vitest";
import type { CircuitOptions } from "../../../src/layers/route/circuit.ts";
import { Deployment, type DeploymentHost, type ResolvedDeployment } from "../../../src/layers/route/deployment.ts";
import { statusOf } from "../../../src/layers/route/status.ts";
import { VirtualTime } from "../../support/virtual-time.ts";
import { outcomeOf, questionOf } from "./strategies/world.ts";
import { deploymentOf } from "./support/route-world.ts";

const CIRCUIT: CircuitOptions = { failureRate: 0.5, minCalls: 2, windowMs: 10_000, openMs: 1_000, halfOpenProbes: 1 };

class Lab {
  readonly time = new VirtualTime(500);
  readonly changes: string[] = [];
  readonly deployment: Deployment;

  constructor(options: Partial<ResolvedDeployment> = {}, host: Partial<DeploymentHost> = {}) {
    this.deployment = this.make(options, host);
  }

  make(options: Partial<ResolvedDeployment> = {}, host: Partial<DeploymentHost> = {}): Deployment {
    return new Deployment(deploymentOf("a", options), 0, {
      clock: this.time, circuit: CIRCUIT, quotaUsed: () => undefined, loadElsewhere: () => 0, costOf: () => undefined,
      circuitChanged: (_deployment, from, to) => void this.changes.push(`${from} ${to}`),
      ...host,
    });
  }

  get now(): number {
    return this.time.elapsed();
  }

  request(end: "ok" | "failed" | "left", isFault: boolean | undefined = end === "failed"): void {
    const request = {};
    const passage = this.deployment.begin();
    this.deployment.sent(request);
    this.deployment.spoke(request);
    this.deployment.ended(passage, questionOf({}), outcomeOf({ totalMs: 100, end }), isFault);
  }
}

describe("a deployment", () => {
  it("is set aside for exactly as long as it asks for", () => {
    const { deployment, now } = new Lab();
    expect(deployment.setAside(1_234, now)).toBe(1_234);
    expect([deployment.waitMs(now), deployment.whyNot(now)]).toEqual([1_234, "it has refused calls for their rate"]);
    expect([deployment.waitMs(now + 1_233), deployment.waitMs(now + 1_234), deployment.whyNot(now + 1_234)]).toEqual([1, 0, undefined]);
  });

  it("is not asked sooner because a later refusal wants less patience", () => {
    const { deployment, now } = new Lab();
    deployment.setAside(9_000, now);
    deployment.setAside(10, now + 1);
    expect(deployment.waitMs(now + 1)).toBe(8_999);
  });

  it("that does not say for how long is set aside for twice as long each time, up to half a minute, and as at first after an answer", () => {
    const lab = new Lab();
    let { now } = lab;
    const times = Array.from({ length: 8 }, () => {
      const forMs = lab.deployment.setAside(undefined, now);
      now += forMs;
      return forMs;
    });
    expect(times).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    lab.request("ok");
    expect(lab.deployment.setAside(undefined, now)).toBe(1_000);
  });

  it("has been silent for as long as the oldest of those that wait for content", () => {
    const lab = new Lab();
    const [first, second] = [{}, {}];
    expect(lab.deployment.silentMs).toBe(0);
    lab.deployment.sent(first);
    lab.time.jump(30);
    lab.deployment.sent(second);
    lab.deployment.sent(first);
    expect(lab.deployment.silentMs).toBe(30);
    lab.deployment.spoke(first);
    lab.time.jump(5);
    expect(lab.deployment.silentMs).toBe(5);
  });

  it("goes on with an open circuit for the rest of its time, and tells nobody again", () => {
    const lab = new Lab();
    for (const _ of Array.from({ length: 20 })) lab.request("failed");
    expect(lab.deployment.circuit?.state).toBe("open");
    const rest = lab.deployment.waitMs(lab.now);
    lab.time.jump(rest - 10);
    const told = lab.changes.length;
    const next = lab.make();
    next.takeOver(lab.deployment);
    expect([next.circuit?.state, next.waitMs(lab.now), lab.changes.length]).toEqual(["open", 10, told]);
  });

  it("counts a burst of refusals that all say when to come back as one", () => {
    const { deployment, now } = new Lab();
    for (const _ of Array.from({ length: 10 })) deployment.setAside(1_000, now);
    expect(deployment.setAside(undefined, now + 1_000)).toBe(2_000);
  });

  it("is not set aside for longer because many requests were under way when it refused the first", () => {
    const { deployment, now } = new Lab();
    const times = Array.from({ length: 20 }, (_, at) => deployment.setAside(undefined, now + at));
    expect([times[0], deployment.waitMs(now + 19)]).toEqual([1_000, 981]);
    expect(deployment.setAside(undefined, now + 1_000)).toBe(2_000);
  });

  it("that is disabled comes after all others, until its time is up or it has answered", () => {
    const lab = new Lab({ priority: 3 });
    const { deployment, now } = lab;
    deployment.disable(60_000, "auth", now);
    expect([deployment.tier(now) > 1e6, deployment.waitMs(now), deployment.disabledFor(now)]).toEqual([true, 0, "auth"]);
    expect(deployment.tier(now + 60_000)).toBe(3);
    lab.request("failed", false);
    expect(deployment.disabledFor(now)).toBe("auth");
    lab.request("ok");
    expect(deployment.tier(now)).toBe(3);
  });

  it("gets its share back little by little when its circuit has closed: a tenth, then in proportion to the time, and all of it after as long as it was open", async () => {
    const lab = new Lab();
    const { deployment } = lab;
    expect(deployment.share(lab.now)).toBe(1);
    lab.request("failed");
    lab.request("failed");
    expect(deployment.waitMs(lab.now)).toBe(1_000);
    await lab.time.pass(1_000);
    expect(deployment.whyNot(lab.now)).toBeUndefined();
    lab.request("ok");
    expect(lab.changes).toEqual(["closed open", "open half-open", "half-open closed"]);
    expect([0, 50, 100, 500, 999, 1_000].map((later) => deployment.share(lab.now + later))).toEqual([0.1, 0.1, 0.1, 0.5, 0.999, 1]);
  });

  it("says why it is not asked", async () => {
    const lab = new Lab();
    const { deployment } = lab;
    lab.request("failed");
    lab.request("failed");
    expect(deployment.whyNot(lab.now)).toBe("too many of its calls failed (open circuit)");
    await lab.time.pass(1_000);
    deployment.begin();
    expect(deployment.whyNot(lab.now)).toBe("one call tries whether it answers again (half-open circuit)");
    void deployment.drained();
    expect([deployment.whyNot(lab.now), deployment.waitMs(lab.now)]).toEqual(["it is being drained", Infinity]);
  });

  it("is not asked while either its circuit or its word is against it", () => {
    const lab = new Lab();
    lab.request("failed");
    lab.request("failed");
    lab.deployment.setAside(3_000, lab.now);
    expect(lab.deployment.waitMs(lab.now)).toBe(3_000);
    expect(lab.deployment.asideMs(lab.now)).toBe(3_000);
  });

  it("counts what is under way: its own, other processes', and what its server tells of", () => {
    const { deployment } = new Lab({}, { loadElsewhere: () => 3 });
    deployment.begin();
    deployment.begin();
    expect(deployment.inFlight).toBe(5);
    deployment.reported = { inFlight: 9 } as typeof deployment.reported;
    expect(deployment.inFlight).toBe(9);
    deployment.reported = { inFlight: undefined } as typeof deployment.reported;
    expect(deployment.inFlight).toBe(5);
  });

  it("learns how long answers take of those that came, and counts requests and failures", () => {
    const lab = new Lab();
    lab.request("ok");
    lab.request("failed", false);
    lab.request("left", undefined);
    expect(statusOf(lab.deployment, lab.now)).toMatchObject({ requests: 3, failures: 1, latencyMs: 100, errorRate: 0, inFlight: 0, circuit: "closed", share: 1 });
    expect(lab.deployment.requestsOfLate).toBe(3);
  });

  it("is drained when nothing is under way there any more", async () => {
    const lab = new Lab();
    const passages = [lab.deployment.begin(), lab.deployment.begin()];
    let isDrained = false;
    void lab.deployment.drained().then(() => (isDrained = true));
    for (const passage of passages) {
      await lab.time.pass(0);
      expect(isDrained).toBe(false);
      lab.deployment.ended(passage, questionOf({}), outcomeOf({ totalMs: 100 }), false);
    }
    await lab.time.pass(0);
    expect(isDrained).toBe(true);
    await new Lab().deployment.drained();
  });

  it("goes on from what was known of it before", () => {
    const lab = new Lab();
    lab.request("ok");
    lab.request("failed");
    lab.deployment.setAside(700, lab.now);
    lab.deployment.disable(60_000, "auth", lab.now);
    const next = lab.make();
    next.takeOver(lab.deployment);
    expect(next).toMatchObject({ requests: 2, failures: 1 });
    expect([next.waitMs(lab.now), next.disabledFor(lab.now), next.latency.totalMs]).toEqual([1_000, "auth", 100]);
    expect(next.circuit?.state).toBe("open");
  });

  it("is tried before it is trusted where its circuit was half-open before", async () => {
    const lab = new Lab();
    lab.request("failed");
    lab.request("failed");
    await lab.time.pass(1_000);
    expect(lab.deployment.circuit?.state).toBe("half-open");
    const next = lab.make();
    next.takeOver(lab.deployment);
    expect([next.circuit?.state, next.waitMs(lab.now)]).toEqual(["half-open", 0]);
    const without = lab.make({}, { circuit: undefined });
    const after = lab.make();
    after.takeOver(without);
    expect(after.circuit?.state).toBe("closed");
  });

  it("has no circuit where nobody wants one", () => {
    const lab = new Lab({}, { circuit: undefined });
    for (let request = 0; request < 50; request += 1) lab.request("failed");
    expect([lab.deployment.waitMs(lab.now), lab.deployment.share(lab.now), statusOf(lab.deployment, lab.now).circuit]).toEqual([0, 1, "closed"]);
  });
});

describe("the status of a deployment", () => {
  it("tells what is known and no more", () => {
    const { deployment, now } = new Lab({ model: undefined, tags: ["eu"], weight: 2, priority: 1 });
    expect(statusOf(deployment, now)).toEqual({ id: "a", tags: ["eu"], priority: 1, weight: 2, circuit: "closed", share: 1, inFlight: 0, errorRate: 0, requests: 0, failures: 0 });
  });

  it("tells why it is not asked, and when it is again", () => {
    const { deployment, now } = new Lab({}, { quotaUsed: () => 1.2 });
    deployment.setAside(250, now);
    deployment.lastUnfit = "cannot take tools";
    expect(statusOf(deployment, now)).toMatchObject({ unavailable: "it has refused calls for their rate", retryAfterMs: 250, quotaLeft: 0, lastUnfit: "cannot take tools", model: "model of a" });
  });
});
