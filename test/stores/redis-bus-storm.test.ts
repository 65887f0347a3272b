import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { redisBus } from "../../src/stores/redis.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { eventually, type FaultProxy, faultProxy, startRedis } from "../support/services.ts";
import { Heard, label } from "./support/bus-listener.ts";

const SEED = 20_261_121;
const ROUNDS = 50;
const PER_ROUND = 100;

it(`tells every one of 5,000 invalidations once and in the log's order while connections break at random (seed ${SEED})`, async () => {
  await using redis = await startRedis();
  await using heardThrough = await faultProxy(redis.port);
  await using toldThrough = await faultProxy(redis.port);
  const random = seededRandom(SEED);
  const listener = redisBus(`redis://127.0.0.1:${heardThrough.port}`, { heartbeatMs: 50 });
  const near = redisBus(redis.url);
  const far = redisBus(`redis://127.0.0.1:${toldThrough.port}`);
  const heard = new Heard();
  listener.start(heard);
  await eventually(() => listener.position);
  const told: Promise<void>[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const proxy of [heardThrough, toldThrough]) disturb(proxy, random());
    const names = Array.from({ length: PER_ROUND }, (_unused, index) => `${round}/${index}`);
    const batch = names.map((name, index) => (index % 2 ? near : far).publish(label(name), 60_000));
    // The near bus is never cut: its news pace the rounds.
    await Promise.all(batch.filter((_promise, index) => index % 2 === 1));
    told.push(...batch);
    // Now and then everybody gets to know everything, so that connections break in every phase: up to date, catching up, and away.
    if (random() < 0.3) await settled(heardThrough, toldThrough, batch, () => heard.log.length >= (round + 1) * PER_ROUND);
  }
  heardThrough.heal();
  toldThrough.heal();
  await Promise.all(told);
  const log = await logOf(redis.url);
  await eventually(() => heard.log.length >= log.length);
  expect(log.length).toBe(ROUNDS * PER_ROUND);
  expect(heard.log).toEqual(log);
  await Promise.all([listener, near, far].map((bus) => bus.close()));
}, 60_000);

async function settled(first: FaultProxy, second: FaultProxy, batch: readonly Promise<void>[], isDone: () => boolean): Promise<void> {
  first.heal();
  second.heal();
  await Promise.all(batch);
  await eventually(isDone);
}

function disturb(proxy: FaultProxy, chance: number): void {
  if (chance < 0.03) proxy.stall();
  else if (chance < 0.35) proxy.cut();
  else if (chance < 0.5) proxy.delay(5);
  else proxy.heal();
}

/** The labels in the log's order, without what was sent twice. */
async function logOf(url: string): Promise<string[]> {
  const reader = new Redis(url);
  const entries = await reader.xrange("langchain-perf:{bus}:log", "-", "+");
  reader.disconnect();
  const first = new Map<string, string>();
  for (const [, [, record = ""]] of entries) {
    if (record === "") continue;
    const [publisher, count, { groups }] = JSON.parse(record) as [string, number, { groups: string[][] }];
    const id = `${publisher}/${count}`;
    if (!first.has(id)) first.set(id, groups.flat().join());
  }
  return [...first.values()];
}
