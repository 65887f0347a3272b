import { OpenAIEmbeddings } from "@langchain/openai";
import { OptionError, withPerf, type AlertEvent, type CircuitEvent, type Perf, type PerfOptions } from "langchain-perf";
import type { Simulator } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { eventually } from "../../support/services/eventually.ts";
import { until } from "../../testing/support.ts";
import { APIS, askedOf, listeningPerf, quiet, simulator, type Model } from "./providers.ts";

const SOUND = "word0 word1 word2 word3 word4 word5 word6 word7";
const ids = (perf: Perf): string[] => perf.deployments().map(({ id }) => id);

/** A perf over deployments in the order of their priority, each at a provider of its own. */
async function routed(names: readonly string[], options: PerfOptions = {}, each: object = {}) {
  const providers: Record<string, Simulator> = {};
  for (const name of names) providers[name] = await simulator();
  const deployment = (id: string, priority: number) => ({ id, model: APIS.OpenAI(providers[id] as Simulator), priority, ...each });
  const deployments = names.map(deployment);
  const model = deployments[0]?.model as Model;
  const listening = listeningPerf({ routing: { deployments }, ...options });
  return { ...listening, model, fast: withPerf(model, listening.perf), deployments, deployment, provider: (name: string) => providers[name] as Simulator };
}

/** A stream that has begun and is read on later. */
async function begun(model: Model): Promise<() => Promise<string>> {
  const parts = (await model.stream("Hello"))[Symbol.asyncIterator]();
  let text = "";
  while (text === "") text += (await parts.next()).value?.text ?? "";
  return async () => {
    for (let part = await parts.next(); !part.done; part = await parts.next()) text += part.value.text;
    return text;
  };
}

/** Tells whether a promise has settled. */
function watched<T>(promise: Promise<T>): { promise: Promise<T>; isSettled: boolean } {
  const watch = { promise, isSettled: false };
  const settle = (): void => void (watch.isSettled = true);
  promise.then(settle, settle);
  return watch;
}

describe("a deployment that is drained", () => {
  it("ends what it has begun, gets nothing new, and is gone when the last has ended", async () => {
    const { perf, calls, fast, provider } = await routed(["old", "new"]);
    const rest = await begun(fast);
    const removeFault = provider("old").fault("slow=150,times=1");
    const slow = fast.invoke("Hello");
    await until(() => provider("old").count() === 2);
    removeFault();

    const drained = watched(perf.drainDeployment("old"));
    expect(perf.deployments()[0]).toMatchObject({ id: "old", inFlight: 2, unavailable: "it is being drained" });
    expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect((await slow).text).toBe(SOUND);
    expect([drained.isSettled, ids(perf)]).toEqual([false, ["old", "new"]]);
    expect(await rest()).toBe(SOUND);
    await drained.promise;
    expect(ids(perf)).toEqual(["new"]);
    expect(calls.map(({ deployment }) => deployment)).toEqual(["new", "old", "old"]);
    expect([provider("old").count(), provider("new").count()]).toEqual([2, 1]);
  });

  it("is gone at once when nothing is under way there, as often as it is asked for", async () => {
    const { perf, fast } = await routed(["old", "new"]);
    await Promise.all([perf.drainDeployment("old"), perf.drainDeployment("old")]);
    expect(ids(perf)).toEqual(["new"]);
    expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect(await errorOf((async () => perf.drainDeployment("old"))())).toMatchObject({ option: "id", message: expect.stringMatching(/new.*"old"/) });
  });

  it("hands on a call that fails there meanwhile", async () => {
    const { perf, calls, fast, provider } = await routed(["old", "new"], { timeouts: { attemptMs: 1_000 } });
    provider("old").fault("silent");
    const call = fast.invoke("Hello");
    await until(() => provider("old").count() === 1);
    const drained = perf.drainDeployment("old");
    expect((await call).text).toBe(SOUND);
    await drained;
    expect(calls.map(askedOf)).toEqual([["old timeout", "new"]]);
  });

  it("leaves calls without anybody to ask when it was the last, until there is another", async () => {
    const { perf, fast, deployment } = await routed(["only"]);
    await perf.drainDeployment("only");
    expect(await errorOf(fast.invoke("Hello"))).toMatchObject({ code: "PERF_NO_DEPLOYMENT", message: expect.stringMatching(/drained/) });
    perf.addDeployment(deployment("only", 0));
    expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect(perf.deployments()).toMatchObject([{ id: "only", requests: 1 }]);
  });
});

describe("a deployment that is added", () => {
  it("takes its part of the calls, beside streams that go on", async () => {
    const { perf, calls, fast } = await routed(["first"], { routing: undefined as never });
    expect(ids(perf)).toEqual([]);
    expect(() => perf.addDeployment({ id: "x", model: fast })).toThrow(OptionError);
    await perf.reconfigure({ routing: { strategy: "round-robin", deployments: [{ id: "first", model: fast }] } });
    const rest = await begun(fast);
    const added = await simulator();
    perf.addDeployment({ id: "second", model: APIS.Anthropic(added) });
    for (let at = 0; at < 6; at += 1) expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect(await rest()).toBe(SOUND);
    expect(added.count()).toBe(3);
    expect(calls.map(({ deployment }) => deployment).toSorted()).toEqual(["first", "first", "first", "first", "second", "second", "second"]);
    expect(perf.deployments()).toMatchObject([{ id: "first", requests: 4 }, { id: "second", requests: 3 }]);
  });

  it("joins the pool that is named", async () => {
    const [chat, vectors] = [await simulator(), await simulator()];
    const embeddings = new OpenAIEmbeddings({ apiKey: "a", configuration: { baseURL: vectors.baseURL } });
    const { perf, calls } = listeningPerf({ routing: [{ deployments: [{ id: "chat", model: APIS.OpenAI(chat) }] }, { deployments: [{ id: "vectors", model: embeddings }] }] });
    perf.addDeployment({ id: "more vectors", model: embeddings }, { pool: 1 });
    await perf.drainDeployment("vectors");
    await withPerf(embeddings, perf).embedQuery("a");
    expect(calls.map(({ kind, deployment }) => [kind, deployment])).toEqual([["embeddings", "more vectors"]]);
  });

  it("must be one that fits", async () => {
    const { perf, model } = await routed(["first"]);
    const embeddings = new OpenAIEmbeddings({ apiKey: "a" });
    const optionOf = (work: () => void): unknown => {
      try {
        work();
      } catch (error) {
        return error instanceof OptionError ? error.option : error;
      }
      return "nothing";
    };
    expect(optionOf(() => perf.addDeployment({ id: "first", model }))).toBe("deployment.id");
    expect(optionOf(() => perf.addDeployment({ id: "x", model: embeddings }))).toBe("deployment.model");
    expect(optionOf(() => perf.addDeployment({ id: "x", model: {} as never }))).toBe("deployment.model");
    expect(optionOf(() => perf.addDeployment({ id: "x", model, weight: 0 }))).toBe("deployment.weight");
    expect(optionOf(() => perf.addDeployment({ id: "x", model, colour: "red" } as never))).toBe("deployment.colour");
    expect(optionOf(() => perf.addDeployment({ id: "x", model }, { pool: 1 }))).toBe("addDeployment.pool");
    expect(optionOf(() => perf.addDeployment({ id: "x", model }, { pol: 1 } as never))).toBe("addDeployment.pol");
    expect(optionOf(() => perf.addDeployment({ id: "x", model, maxConcurrent: 1 }))).toBe("deployment");
    expect(ids(perf)).toEqual(["first"]);
  });
});

describe("a change of the options", () => {
  it("of the routing drops no stream, and all later calls have the new deployments", async () => {
    const { perf, calls, fast, deployments, provider } = await routed(["old", "new"]);
    const rests = [await begun(fast), await begun(fast)];
    await perf.reconfigure({ routing: { deployments: deployments.slice(1) } });
    expect(ids(perf)).toEqual(["new"]);
    const later = await begun(fast);
    for (const rest of [...rests, later]) expect(await rest()).toBe(SOUND);
    expect(calls.map(({ deployment, error }) => [deployment, error])).toEqual([["old", undefined], ["old", undefined], ["new", undefined]]);
    await quiet(perf, provider("old"), provider("new"));

    await perf.reconfigure({ routing: undefined } as never);
    expect([ids(perf), (await fast.invoke("Hello")).text]).toEqual([[], SOUND]);
    expect(calls.at(-1)?.deployment).toBeUndefined();
    expect(provider("old").count()).toBe(3);
  });

  it("keeps the cache that it does not name, and begins one that it does", async () => {
    const { perf, calls, fast, deployments } = await routed(["a", "b"], { cache: true });
    const ask = async (): Promise<unknown> => {
      expect((await fast.invoke("Hello")).text).toBe(SOUND);
      return calls.at(-1)?.cache?.status;
    };
    expect([await ask(), await ask()]).toEqual(["miss", "hit"]);
    const rest = await begun(withPerf(APIS.OpenAI(await simulator(), "chunks-9"), perf));
    await perf.reconfigure({ routing: { deployments: deployments.slice(1) } });
    expect(await ask()).toBe("hit");
    await perf.reconfigure({ retry: false });
    expect(await ask()).toBe("hit");
    await perf.reconfigure({ cache: true });
    expect([await ask(), await ask()]).toEqual(["miss", "hit"]);
    await perf.reconfigure({ cache: false });
    expect([await ask(), await ask()]).toEqual([undefined, undefined]);
    expect(await rest()).toBe(SOUND);
  });

  it("of the limits drops no stream that they let go, and another option's change forgets nothing that they have counted", async () => {
    const { perf, fast, deployments } = await routed(["a", "b"]);
    const rateLimit = { requestsPerMinute: 1, maxWaitMs: 1 };
    const refused = async (): Promise<void> => expect(await errorOf(fast.invoke("Hello"))).toMatchObject({ code: "PERF_DEADLINE" });
    const rests = [await begun(fast), await begun(fast)];
    await perf.reconfigure({ rateLimit });
    rests.push(await begun(fast));
    await refused();
    await perf.reconfigure({ routing: { deployments: deployments.slice(1) } });
    await refused();
    await perf.reconfigure({ rateLimit });
    expect((await fast.invoke("Hello")).text).toBe(SOUND);
    await refused();
    await perf.reconfigure({ rateLimit: false });
    for (const rest of [...rests, () => fast.invoke("Hello").then(({ text }) => text)]) expect(await rest()).toBe(SOUND);
  });

  it("keeps what deployments have used of their quotas, and what is known of them", async () => {
    const { perf, calls, fast, deployments, deployment } = await routed(["a", "b", "c"], {}, { requestsPerMinute: 1 });
    for (let at = 0; at < 2; at += 1) await fast.invoke("Hello");
    const asked = [{ id: "a", requests: 1, quotaLeft: 0 }, { id: "b", requests: 1, quotaLeft: 0 }, { id: "c", requests: 0, quotaLeft: 1 }];
    expect(perf.deployments()).toMatchObject(asked);
    await perf.reconfigure({ routing: { deployments: deployments.toReversed() } });
    expect(perf.deployments()).toMatchObject(asked.toReversed());
    expect(perf.deployments().map(({ latencyMs }) => latencyMs !== undefined)).toEqual([false, true, true]);
    await fast.invoke("Hello");
    expect(calls.map(askedOf)).toEqual([["a"], ["b"], ["c"]]);
    // With another quota, or another model, it begins anew.
    const [, b, c] = deployments;
    await perf.reconfigure({ routing: { deployments: [deployment("a", 0), { ...b!, requestsPerMinute: 5 }, { ...c!, model: APIS.OpenAI(await simulator()) }] } });
    expect(perf.deployments()).toMatchObject([{ id: "a", requests: 0, quotaLeft: 0 }, { id: "b", requests: 1, quotaLeft: 1 }, { id: "c", requests: 0, quotaLeft: 0 }]);
  });

  it("keeps a circuit open", async () => {
    const { perf, fast, deployments, provider } = await routed(["a", "b"], { retry: { baseDelayMs: 0 } });
    provider("a").fault("status=503");
    for (let at = 0; at < 5; at += 1) await fast.invoke("Hello");
    expect(perf.deployments()[0]).toMatchObject({ circuit: "open" });
    await perf.reconfigure({ routing: { deployments } });
    expect(perf.deployments()[0]).toMatchObject({ circuit: "open", requests: 5, failures: 5 });
    expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect(provider("a").count()).toBe(5);
  });

  it("that cannot be made changes nothing", async () => {
    const { perf, calls, fast, deployments } = await routed(["a", "b"], { cache: true }, { requestsPerMinute: 100 });
    await fast.invoke("Hello");
    const wrong: [object, string][] = [
      [{ routing: { deployments: [] } }, "routing.deployments"],
      [{ routing: { deployments: [{ id: "a", model: fast, requestsPerMinute: 5 }], shared: "here" } }, "routing.shared"],
      [{ routing: { deployments: deployments.slice(1) }, cache: { ttlMs: -1 } }, "cache.ttlMs"],
      [{ rateLimit: { requestsPerMinute: -1 } }, "rateLimit.requestsPerMinute"],
      [{ routes: 1 }, "routes"],
    ];
    for (const [changes, option] of wrong) expect(await errorOf(perf.reconfigure(changes))).toMatchObject({ name: "OptionError", option });
    for (const nothing of [7, "routing", null, undefined]) expect(await errorOf(perf.reconfigure(nothing as never))).toMatchObject({ name: "OptionError", option: "reconfigure" });
    expect(perf.deployments()).toMatchObject([{ id: "a", requests: 1, quotaLeft: 0.99 }, { id: "b" }]);
    await fast.invoke("Hello");
    expect(calls.at(-1)?.cache?.status).toBe("hit");
    await perf.close();
    expect(await errorOf(perf.reconfigure({ cache: true }))).toBeInstanceOf(OptionError);
  });
});

describe("who looks after deployments", () => {
  it("hears of one that is of no use, which is asked again after all others", async () => {
    const { perf, fast, provider } = await routed(["a", "b"], { retry: { baseDelayMs: 0 } });
    const alerts: AlertEvent[] = [];
    perf.on("alert", (alert) => alerts.push(alert));
    const repair = provider("a").fault("status=401");
    for (let at = 0; at < 3; at += 1) expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect([provider("a").count(), provider("b").count()]).toEqual([1, 3]);
    expect(alerts).toMatchObject([{ rule: "deployment-disabled", severity: "critical", deployment: "a", reason: "auth", message: expect.stringContaining("401") }]);
    expect(perf.deployments()[0]).toMatchObject({ unavailable: "auth", circuit: "closed" });
    repair();
    provider("b").fault("status=503");
    // Its one answer shows that it is of use again.
    for (let at = 0; at < 2; at += 1) expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect([provider("a").count(), provider("b").count()]).toEqual([3, 4]);
    expect(perf.deployments()[0]?.unavailable).toBeUndefined();
    expect(alerts).toHaveLength(1);
  });

  it("hears of every change of a circuit, which a real call closes again", async () => {
    const a = await simulator();
    const b = await simulator();
    const deployments = [{ id: "a", model: APIS.OpenAI(a) }, { id: "b", model: APIS.OpenAI(b), priority: 1 }];
    const { perf } = listeningPerf({ routing: { deployments, circuit: { minCalls: 3, openMs: 1_000 } } });
    const fast = withPerf(deployments[0]!.model, perf);
    const changes: CircuitEvent[] = [];
    perf.on("circuit", (change) => changes.push(change));
    const repair = a.fault("status=503");
    for (let at = 0; at < 5; at += 1) expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect(a.count()).toBe(3);
    expect(changes).toMatchObject([{ deployment: "a", from: "closed", to: "open", failureRate: 1, at: expect.any(Number) }]);
    expect(perf.deployments()[0]).toMatchObject({ circuit: "open", errorRate: 1, failures: 3, lastError: expect.stringMatching(/^overloaded: 503/), unavailable: expect.stringContaining("open circuit") });
    repair();
    await eventually(() => perf.deployments()[0]?.circuit === "half-open");
    expect((await fast.invoke("Hello")).text).toBe(SOUND);
    expect(a.count()).toBe(4);
    expect(changes.map(({ from, to }) => `${from} to ${to}`)).toEqual(["closed to open", "open to half-open", "half-open to closed"]);
    expect(perf.deployments()[0]?.circuit).toBe("closed");
  });
});
