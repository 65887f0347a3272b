import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { createPerf, withPerf, type CacheOptions, type CallFacts, type Perf } from "../../../src/index.ts";
import type { ChatGenerationChunk } from "@langchain/core/outputs";
import type { RedisTierOptions } from "../../../src/layers/cache/options.ts";
import { eventually, redisCommand } from "../../support/services.ts";
import { Faucet, Gate, settle } from "../support/gate.ts";
import { ScriptedChat, textResult, type SeenCall } from "../support/scripted-chat.ts";

/** One process of a cluster, as far as the others can tell: a perf of its own, and a model whose answers the test lets out. */
export class Member implements AsyncDisposable {
  readonly perf: Perf;
  readonly facts: CallFacts[] = [];
  readonly model: ScriptedChat;
  readonly fast: ScriptedChat;
  /** One for each stream that reached the model. */
  readonly taps: Faucet<ChatGenerationChunk>[] = [];
  /** One for each `invoke` that reached the model. */
  readonly gates: Gate<string>[] = [];

  constructor(redis: RedisTierOptions, cache: CacheOptions = {}) {
    this.perf = createPerf({ cache: { redis: { timeoutMs: 500, ...redis }, ...cache }, coalesce: { scope: "cluster" } });
    this.perf.on("call", (facts) => void (facts.kind !== "chain" && this.facts.push(facts)));
    this.model = new ScriptedChat({
      stream: () => {
        const tap = new Faucet<ChatGenerationChunk>();
        this.taps.push(tap);
        return tap;
      },
      whole: async ({ messages }: SeenCall) => {
        if (messages[0]?.text === "connect") return textResult("connected");
        const gate = new Gate<string>();
        this.gates.push(gate);
        return textResult(await gate.promise);
      },
    });
    this.fast = withPerf(this.model, this.perf);
  }

  /** Calls that reached the model. */
  get asked(): number {
    return this.taps.length + this.gates.length;
  }

  /** Connected to Redis, so that no call of the test meets a connection that is only being made. */
  async connected(): Promise<this> {
    await this.fast.invoke("connect");
    await this.perf.flush();
    this.facts.length = 0;
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await settle();
    await this.perf.close();
  }
}

/** A few members of one cluster. */
export interface Cluster extends AsyncDisposable, Iterable<Member> {
  readonly keyPrefix: string;
  /** Waits until so many answers are followed. */
  followed(count?: number): Promise<void>;
  /** Waits until so many answers are open to no newcomer, of those that somebody asks or asked for. */
  withdrawn(count: number): Promise<void>;
}

/** Waits until so many answers are followed by somebody. */
export async function followed(url: string, keyPrefix: string, count = 1): Promise<void> {
  const port = Number(new URL(url).port);
  await eventually(async () => (await redisCommand(port, `PUBSUB CHANNELS ${keyPrefix}live:*`)).startsWith(`*${count}\r\n`));
}

async function withdrawn(url: string, keyPrefix: string, count: number): Promise<void> {
  const client = new Redis(url);
  try {
    await eventually(async () => {
      const keys = await client.keys(`${keyPrefix}{*}:lease`);
      const leases = await Promise.all(keys.map((key) => client.hmget(key, "state", "until")));
      return leases.filter(([state, until]) => state === "retired" || (state === "done" && Number(until) <= Date.now())).length >= count;
    });
  } finally {
    client.disconnect();
  }
}

/** Opens so many, connected. */
export async function members(url: string, count: number, cache: CacheOptions = {}): Promise<Cluster> {
  const all: Member[] = [];
  const dispose = async (): Promise<void> => void (await Promise.all(all.map((member) => member[Symbol.asyncDispose]())));
  // Tests share a server: each has keys of its own.
  const keyPrefix = `${randomUUID()}:`;
  for (let made = 0; made < count; made += 1) all.push(await new Member({ url, keyPrefix }, cache).connected());
  return {
    keyPrefix,
    followed: (answers) => followed(url, keyPrefix, answers),
    withdrawn: (answers) => withdrawn(url, keyPrefix, answers),
    [Symbol.iterator]: () => all.values(),
    [Symbol.asyncDispose]: dispose,
  };
}
