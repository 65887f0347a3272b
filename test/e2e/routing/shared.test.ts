import { createPerf, withPerf, type CircuitEvent, type Perf } from "langchain-perf";
import { expect, it, onTestFinished } from "vitest";
import { eventually, startRedis } from "../../support/services.ts";
import { APIS, askedOf, listeningPerf, simulator } from "./providers.ts";

/** Two perfs of one name on one Redis, as two processes have them, with deployments of their own making. */
async function twoProcesses() {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const [east, west] = [await simulator(), await simulator()];
  const open = () => {
    const deployments = [{ id: "east", model: APIS.OpenAI(east) }, { id: "west", model: APIS.OpenAI(west), priority: 1, maxConcurrent: 1 }];
    return listeningPerf({ name: "shared", routing: { deployments, shared: redis.url, circuit: { minCalls: 3, openMs: 60_000 } }, retry: { baseDelayMs: 0 } });
  };
  const [one, other] = [open(), open()];
  const ask = ({ perf }: typeof one): Promise<{ text: string }> => withPerf(APIS.OpenAI(east), perf).invoke("x");
  return { redis, east, west, one, other, ask };
}

const stateOf = (perf: Perf): string | undefined => perf.deployments()[0]?.circuit;

it("a circuit that opens in one process is open in the other, which asks no failing deployment", async () => {
  const { east, one, other, ask } = await twoProcesses();
  const changes: CircuitEvent[] = [];
  other.perf.on("circuit", (event) => changes.push(event));
  await ask(other);
  east.fault("status=503");
  for (const _ of [1, 2, 3]) await ask(one);
  await eventually(() => stateOf(other.perf) === "open");
  const before = east.count();
  await ask(other);
  expect([east.count() - before, askedOf(other.calls.at(-1)!)]).toEqual([0, ["west"]]);
  expect(changes).toMatchObject([{ deployment: "east", from: "closed", to: "open" }]);
});

it("one that asked a process for patience is left alone by the other, and so is one that refused its key by asking others first", async () => {
  const { east, one, other, ask } = await twoProcesses();
  await ask(other);
  east.fault("status=429,retry-after=60,times=1");
  await ask(one);
  await eventually(() => other.perf.deployments()[0]?.unavailable !== undefined);
  expect(other.perf.deployments()[0]).toMatchObject({ circuit: "closed", unavailable: expect.stringContaining("rate limited") });
  await ask(other);
  expect(askedOf(other.calls.at(-1)!)).toEqual(["west"]);
});

it("load and quotas are those of both", async () => {
  const { west, east, one, other, ask } = await twoProcesses();
  east.fault("status=503");
  const slow = west.fault("slow=3000");
  const first = ask(one);
  await eventually(() => (other.perf.deployments()[1]?.inFlight ?? 0) === 1);
  slow();
  // The one place is taken, by the other process.
  const second = ask(other);
  await eventually(() => west.count() === 1 && other.calls.length === 0);
  await Promise.all([first, second]);
  expect(west.requests.map(({ outcome }) => outcome)).toEqual(["completed", "completed"]);
  expect(west.requests[1]!.time).toBeGreaterThanOrEqual(west.requests[0]!.time + 2_900);
});

it("calls are answered while Redis is away, and processes find each other again", async () => {
  const { redis, east, one, other, ask } = await twoProcesses();
  await ask(one);
  await redis.kill();
  expect((await ask(one)).text).toBe((await ask(other)).text);
  await redis.start();
  east.fault("status=503");
  for (const _ of [1, 2, 3]) await ask(one);
  await eventually(() => stateOf(other.perf) === "open", { timeoutMs: 15_000 });
});

it("an address that is none is said at once", () => {
  expect(() => createPerf({ routing: { deployments: [{ id: "a", model: APIS.OpenAI({ baseURL: "http://127.0.0.1:1" } as never) }], shared: 7 as never } })).toThrowError(/routing\.shared/);
});
