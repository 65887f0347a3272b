import KeyvMysql from "@keyv/mysql";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, redisCommand, type Server, startMariadb, startMemcached, startPostgres, startRedis, startRedisCluster, startRedisSentinel } from "../support/services.ts";
import { converse } from "../support/services/connection.ts";

interface Service {
  readonly name: string;
  start(): Promise<Server>;
  /** Leaves a value, over a connection of its own. */
  write(server: Server): Promise<unknown>;
  /** The value that was left, if it is still there. */
  read(server: Server): Promise<unknown>;
  /** Whether what was written outlives the process. */
  readonly persists: boolean;
}

const SERVICES: readonly Service[] = [
  {
    name: "redis",
    start: () => startRedis(),
    write: ({ port }) => redisCommand(port, "SET left here"),
    read: async ({ port }) => /here/.exec(await redisCommand(port, "GET left"))?.[0],
    persists: false,
  },
  {
    name: "redis that appends to a file",
    start: () => startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] }),
    write: ({ port }) => redisCommand(port, "SET left here"),
    read: async ({ port }) => /here/.exec(await redisCommand(port, "GET left"))?.[0],
    persists: true,
  },
  {
    name: "memcached",
    start: () => startMemcached({ memoryMb: 16 }),
    write: ({ port }) => converse(port, "set left 0 0 4\r\nhere\r\n", endsWith("STORED\r\n")),
    read: async ({ port }) => /here/.exec((await converse(port, "get left\r\n", endsWith("END\r\n"))).toString())?.[0],
    persists: false,
  },
  {
    name: "postgres",
    start: () => startPostgres(),
    write: ({ url }) => query(url, "CREATE TABLE places AS SELECT 'here' AS place"),
    read: async ({ url }) => (await query(url, "SELECT place FROM places"))[0]?.place,
    persists: true,
  },
  {
    name: "mariadb",
    start: () => startMariadb(),
    write: ({ url }) => keyv(url, (store) => store.set("left", "here")),
    read: ({ url }) => keyv(url, (store) => store.get("left")),
    persists: true,
  },
];

describe.each(SERVICES)("$name", ({ start, write, read, persists }) => {
  let server: Server;
  beforeAll(async () => {
    server = await start();
    await write(server);
  });
  afterAll(() => server.stop());

  it("starts and answers", async () => {
    expect(await read(server)).toBe("here");
  });

  it("does not answer while it is frozen, and answers when it is thawed", async () => {
    server.freeze();
    const answer = read(server).catch(() => "timed out");
    await expect(converse(server.port, "PING\r\n", () => true, 200)).rejects.toThrow("no whole answer within 200 ms");
    server.thaw();
    await answer;
    expect(await read(server)).toBe("here");
  });

  it("refuses connections when it is killed, and starts again on the same port with what it has persisted", async () => {
    const { pid, url } = server;
    await server.kill();
    await expect(converse(server.port, "", () => true)).rejects.toThrow("ECONNREFUSED");
    expect(() => server.freeze()).toThrow("does not run");
    await server.start();
    expect(server.url).toBe(url);
    expect(server.pid).not.toBe(pid);
    expect(await read(server)).toBe(persists ? "here" : undefined);
  });
});

describe("postgres", () => {
  it("freezes the connections that are open, not only new ones", async () => {
    await using server = await startPostgres();
    const client = new pg.Client(server.url);
    await client.connect();
    await client.query("SELECT 1");
    server.freeze();
    let answered = false;
    const answer = client.query("SELECT 2 AS number").finally(() => (answered = true));
    await expect(converse(server.port, "", () => true, 200)).rejects.toThrow("no whole answer");
    expect(answered).toBe(false);
    server.thaw();
    expect((await answer).rows).toEqual([{ number: 2 }]);
    await client.end();
  });

  it("takes settings", async () => {
    await using server = await startPostgres({ settings: { max_connections: "7" } });
    expect(await query(server.url, "SHOW max_connections")).toEqual([{ max_connections: "7" }]);
  });
});

describe("a cluster of redis", () => {
  it("spreads the slots over three masters, and is in order again after one was killed and started", async () => {
    await using cluster = await startRedisCluster();
    const [first, second] = cluster.nodes as [Server, Server];
    expect(cluster.nodes).toHaveLength(3);
    // The slot of "foo" is 12182, which is the last node's.
    await expect(redisCommand(first.port, "GET foo")).rejects.toThrow(`MOVED 12182 127.0.0.1:${cluster.nodes[2]?.port}`);
    await second.kill();
    await eventually(async () => (await redisCommand(first.port, "CLUSTER INFO")).includes("cluster_state:fail"));
    await second.start();
    await eventually(async () => (await redisCommand(first.port, "CLUSTER INFO")).includes("cluster_state:ok"));
  });
});

describe("sentinels of redis", () => {
  it("make the replica the master when the master is killed", async () => {
    await using group = await startRedisSentinel();
    expect(group.sentinelAddresses).toHaveLength(3);
    await group.master.kill();
    await eventually(async () => (await redisCommand(group.replica.port, "INFO replication")).includes("role:master"), { timeoutMs: 15_000 });
    await redisCommand(group.replica.port, "SET left here");
    const masters = await Promise.all(group.sentinels.map(({ port }) => eventually(() => masterOf(port, group.replica.port))));
    expect(masters).toEqual([true, true, true]);
  });
});

describe("a server that cannot start", () => {
  it("is named, with the last lines of its log", async () => {
    await expect(startRedis({ args: ["--no-such-setting", "1"] })).rejects.toThrow(/^redis did not start: it ended with exit code 1\n[^]*no-such-setting/);
  });

  it("is named when its port is taken", async () => {
    await using first = await startMemcached();
    await expect(startMemcached({ args: ["-p", String(first.port)] })).rejects.toThrow(/^memcached did not start: it ended[^]*in use/);
  });
});

async function masterOf(sentinelPort: number, port: number): Promise<boolean> {
  return (await redisCommand(sentinelPort, "INFO sentinel")).includes(`address=127.0.0.1:${port}`);
}

function endsWith(text: string): (reply: Buffer) => boolean {
  return (reply) => reply.toString().endsWith(text);
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function keyv<T>(uri: string, use: (store: KeyvMysql) => Promise<T>): Promise<T> {
  const store = new KeyvMysql({ uri });
  try {
    return await use(store);
  } finally {
    await store.disconnect();
  }
}
