import { eventually } from "./eventually.ts";
import { redisCommand, startRedis } from "./redis.ts";
import { type Server, startAll, stopAll } from "./server.ts";

/** Three masters that share the slots, without replicas. */
export interface RedisCluster extends AsyncDisposable {
  readonly nodes: readonly Server[];
  stop(): Promise<void>;
}

const SLOTS = 16_384;
const MASTERS = 3;

/** A cluster of our own; resolves when every node finds it in order. A killed node that is started again finds its way back, empty. */
export async function startRedisCluster({ args = [] }: { readonly args?: readonly string[] } = {}): Promise<RedisCluster> {
  const clustered = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1000"];
  const nodes = await startAll(Array.from({ length: MASTERS }, () => () => startRedis({ args: [...clustered, ...args] })));
  const stop = (): Promise<void> => stopAll(nodes);
  try {
    await shareSlots(nodes);
    await introduce(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, stop, [Symbol.asyncDispose]: stop };
}

async function shareSlots(nodes: readonly Server[]): Promise<void> {
  const share = Math.ceil(SLOTS / nodes.length);
  for (const [index, { port }] of nodes.entries()) {
    await redisCommand(port, `CLUSTER SET-CONFIG-EPOCH ${index + 1}`);
    await redisCommand(port, `CLUSTER ADDSLOTSRANGE ${index * share} ${Math.min((index + 1) * share, SLOTS) - 1}`);
  }
}

async function introduce(nodes: readonly Server[]): Promise<void> {
  for (const { port } of nodes.slice(1)) await redisCommand(nodes[0]?.port ?? 0, `CLUSTER MEET 127.0.0.1 ${port}`);
  for (const { port } of nodes) {
    await eventually(async () => {
      const info = await redisCommand(port, "CLUSTER INFO");
      const wanted = ["cluster_state:ok", `cluster_slots_ok:${SLOTS}`, `cluster_known_nodes:${nodes.length}`];
      if (wanted.every((line) => info.includes(line))) return true;
      throw new Error(info);
    });
  }
}
