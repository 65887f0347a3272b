import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type FaultProxy, faultProxy } from "../support/services.ts";
import { converse, freePort, HOST } from "../support/services/connection.ts";

describe("faultProxy", () => {
  let echo: Server;
  let proxy: FaultProxy;
  beforeEach(async () => {
    echo = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(await freePort(), HOST);
    await once(echo, "listening");
    proxy = await faultProxy((echo.address() as { port: number }).port);
  });
  afterEach(async () => {
    await proxy.close();
    echo.close();
  });

  it("passes bytes on, both ways, and counts the connections", async () => {
    const client = await connected(proxy);
    expect(await ask(client, "one")).toBe("one");
    expect(proxy.connections).toBe(1);
    client.end();
    await eventually(() => proxy.connections === 0);
  });

  it("passes on everything of a large answer whose sender hangs up at once", async () => {
    const size = 8 << 20;
    const sender = createServer((socket) => socket.on("error", () => {}).end(Buffer.alloc(size))).listen(await freePort(), HOST);
    await once(sender, "listening");
    await using before = await faultProxy((sender.address() as { port: number }).port);
    const client = await connected(before);
    let received = 0;
    client.on("data", (bytes) => (received += bytes.length));
    await once(client, "end");
    expect(received).toBe(size);
    sender.close();
  });

  it("delays every byte both ways, and keeps their order when the delay ends", async () => {
    const client = await connected(proxy);
    proxy.delay(60);
    const startedAt = performance.now();
    expect(await ask(client, "late")).toBe("late");
    // Twice 60, but for what timers fire early.
    expect(performance.now() - startedAt).toBeGreaterThan(115);
    client.write("first,");
    await eventually(() => client.bytesWritten === "late".length + "first,".length);
    proxy.heal();
    expect(await ask(client, "second", "first,second".length)).toBe("first,second");
  });

  it("cuts open connections and refuses new ones until it is healed", async () => {
    const client = await connected(proxy);
    await ask(client, "one");
    proxy.cut();
    expect(proxy.connections).toBe(0);
    expect((await once(client, "error"))[0]).toMatchObject({ code: "ECONNRESET" });
    await expect(converse(proxy.port, "one", () => true)).rejects.toThrow("ECONNREFUSED");
    proxy.heal();
    expect((await converse(proxy.port, "two", () => true)).toString()).toBe("two");
  });

  it("takes connections and answers nothing while it stalls, and closes those when it is healed", async () => {
    const old = await connected(proxy);
    await ask(old, "one");
    proxy.stall();
    await expect(converse(proxy.port, "two", () => true, 100)).rejects.toThrow("no whole answer within 100 ms");
    const young = await connected(proxy);
    old.write("lost");
    let heard = 0;
    for (const client of [old, young]) client.on("data", () => heard++);
    await expect(converse(proxy.port, "two", () => true, 100)).rejects.toThrow("no whole answer within 100 ms");
    const closed = Promise.all([old, young].map((client) => new Promise((resolve) => client.on("close", resolve))));
    proxy.heal();
    await closed;
    expect(heard).toBe(0);
    expect((await converse(proxy.port, "three", () => true)).toString()).toBe("three");
  });

  it("garbles what the server answers, not what it is asked", async () => {
    const heard: string[] = [];
    echo.on("connection", (socket: Socket) => socket.on("data", (bytes: Buffer) => heard.push(bytes.toString())));
    const client = await connected(proxy);
    proxy.garble();
    client.write("plain");
    const [answer] = (await once(client, "data")) as [Buffer];
    expect([...answer]).toEqual([...Buffer.from("plain")].map((byte) => byte ^ 0xff));
    expect(heard).toEqual(["plain"]);
    proxy.heal();
    expect(await ask(client, "one")).toBe("one");
  });

  it("drops a client whose server is gone", async () => {
    await using orphan = await faultProxy(await freePort());
    await expect(converse(orphan.port, "one", () => true)).rejects.toThrow("ECONNRESET");
  });
});

async function connected({ port }: FaultProxy): Promise<Socket> {
  // Many a test ends with a reset.
  const client = connect(port, HOST).on("error", () => {});
  await once(client, "connect");
  return client;
}

async function ask(client: Socket, text: string, length = text.length): Promise<string> {
  let answer = "";
  const hear = (bytes: Buffer): void => {
    answer += bytes.toString();
  };
  client.on("data", hear);
  client.write(text);
  await eventually(() => answer.length >= length);
  client.off("data", hear);
  return answer;
}
