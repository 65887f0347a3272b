import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { holds, listed, put, survivors, type Check } from "./check.ts";

const DAY_MS = 24 * 3_600_000;
/** How much the clocks of this process and of the store's server may differ, milliseconds. */
const CLOCK_SLACK_MS = 50;

/** No entry outlives its time, and none goes before it. */
export const expiryCases: Record<string, Check> = {
  "has no answer for an entry that was written already expired": async ({ store }) => {
    await put(store, "past", "value", ["label"], Date.now() - 1);
    await put(store, "long past", "value", [], 1);
    await survivors(store, ["past", "long past"], []);
  },

  "removes what an expired entry replaces": async ({ store }) => {
    await put(store, "key", "old");
    await put(store, "key", "expired", [], Date.now() - 1);
    await holds(store, "key", undefined);
  },

  "answers until an entry expires, and not after": async ({ store }) => {
    const expiresAt = Date.now() + 400;
    await put(store, "brief", "value", [], expiresAt);
    while (Date.now() <= expiresAt + CLOCK_SLACK_MS) {
      const got = await store.get("brief");
      if (Date.now() < expiresAt - CLOCK_SLACK_MS) assert.ok(got, "the entry went before its time");
      await sleep(10);
    }
    await holds(store, "brief", undefined);
  },

  "replaces an expiry, to later and to sooner": async ({ store }) => {
    const soon = Date.now() + 150;
    await put(store, "longer", "value", [], soon);
    await put(store, "longer", "value");
    await put(store, "shorter", "value");
    await put(store, "shorter", "value", [], soon);
    while (Date.now() <= soon + CLOCK_SLACK_MS) await sleep(10);
    await survivors(store, ["longer", "shorter"], ["longer"]);
  },

  "keeps an entry whose expiry is far away, a fraction, or never": async ({ store }) => {
    const now = Date.now();
    const expiries = { month: now + 31 * DAY_MS, years: now + 3_650 * DAY_MS, fraction: now + 60_000.25, never: Infinity };
    for (const [key, expiresAt] of Object.entries(expiries)) await put(store, key, key, [key], expiresAt);
    for (const key of Object.keys(expiries)) await holds(store, key, key);
  },

  "purges expired entries, the given number at most, and no others": async ({ store, lists }) => {
    if (!store.purge) return;
    const soon = Date.now() + 100;
    for (const key of ["a", "b", "c", "d", "e"]) await put(store, key, "expired", [`of ${key}`], soon);
    for (const key of ["x", "y"]) await put(store, key, "live", ["live"]);
    while (Date.now() <= soon + CLOCK_SLACK_MS) await sleep(10);
    const first = await store.purge(2);
    assert.ok(first <= 2, `purged ${first} entries, where 2 were asked for`);
    let purged = first;
    for (let step = first; step === 2; purged += step) step = await store.purge(2);
    assert.ok(purged <= 5, `purged ${purged} entries, where 5 had expired`);
    await survivors(store, ["a", "b", "c", "d", "e", "x", "y"], ["x", "y"]);
    if (lists) assert.deepEqual(await listed(store), ["x", "y"]);
    if (store.stats) assert.equal((await store.stats()).entries, 2, "expired entries are left after a purge that said it was done");
  },
};
