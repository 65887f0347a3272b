import { Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { pooledFetch } from "langchain-perf/http";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { eventually } from "../support/services.ts";
import { ask, asks, many, post } from "./support/calls.ts";
import { type Certificate, echo, Gate, serve, trustedCertificate } from "./support/servers.ts";

let certificate: Certificate;
beforeAll(async () => {
  certificate = await trustedCertificate();
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("the connections of pooledFetch", () => {
  it("are used again, and counted", async () => {
    await using server = await serve(echo);
    await using fetch = pooledFetch();
    expect(fetch.stats()).toEqual({ connections: 0, opened: 0, closed: 0, lost: 0, requests: 0, reused: 0, failed: 0, running: 0, pending: 0 });
    expect(await asks(fetch, server.url, 3)).toEqual(["héllo", "héllo", "héllo"]);
    expect(fetch.stats()).toEqual({ connections: 1, opened: 1, closed: 0, lost: 0, requests: 3, reused: 2, failed: 0, running: 0, pending: 0 });
    expect(server.accepted).toBe(1);
  });

  it("are never more than allowed; the other requests wait", async () => {
    const gate = new Gate();
    await using server = await serve(gate.answer);
    await using fetch = pooledFetch({ connections: 3 });
    const answers = many(8, () => ask(fetch, server.url));
    for (const running of [3, 3, 2]) {
      await eventually(() => gate.held.length === running);
      gate.open();
    }
    expect(await answers).toEqual(Array(8).fill("done"));
    expect(server.accepted).toBe(3);
    expect(fetch.stats()).toMatchObject({ opened: 3, reused: 5 });
  });

  it("tell how many requests run and how many wait", async () => {
    const gate = new Gate();
    await using server = await serve(gate.answer);
    await using fetch = pooledFetch({ connections: 2 });
    const answers = many(5, () => ask(fetch, server.url));
    await eventually(() => gate.held.length === 2);
    expect(fetch.stats()).toMatchObject({ connections: 2, requests: 5, running: 2, pending: 3 });
    const opened = setInterval(() => gate.open(), 5);
    await answers;
    clearInterval(opened);
    expect(fetch.stats()).toMatchObject({ running: 0, pending: 0 });
  });

  it("are closed after keepAliveMs without a request", async () => {
    await using server = await serve(echo);
    await using fetch = pooledFetch({ keepAliveMs: 50 });
    await many(4, () => ask(fetch, server.url));
    await eventually(() => server.sockets.size === 0);
    await eventually(() => fetch.stats().connections === 0);
    expect(fetch.stats()).toMatchObject({ opened: 4, closed: 4, lost: 0 });
  });

  it("are given up before the server's own end of keeping them", async () => {
    await using server = await serve(echo, { keepAliveTimeout: 1_000 });
    await using fetch = pooledFetch();
    await asks(fetch, server.url, 2);
    expect(fetch.stats()).toMatchObject({ opened: 2, reused: 0, lost: 0 });
  });

  it("are replaced when the server closes them behind our back", async () => {
    await using server = await serve(echo);
    await using fetch = pooledFetch();
    await many(3, () => ask(fetch, server.url));
    for (const socket of server.sockets) socket.destroy();
    await eventually(() => fetch.stats().closed === 3);
    expect(await ask(fetch, server.url)).toBe("héllo");
    expect(fetch.stats()).toMatchObject({ connections: 1, opened: 4, closed: 3, lost: 3, failed: 0 });
  });

  it("are found dead by a request that comes before the news of it, which then goes over another", async () => {
    const shared = new SharedArrayBuffer(4);
    const closed = new Int32Array(shared);
    const program = `
      const { parentPort, workerData } = require("node:worker_threads");
      const server = require("node:http").createServer((request, response) => { response.end("fine"); request.resume(); }).listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
      parentPort.on("message", () => server.closeAllConnections() ?? setImmediate(() => { Atomics.store(new Int32Array(workerData), 0, 1); Atomics.notify(new Int32Array(workerData), 0); }));`;
    const worker = new Worker(program, { eval: true, workerData: shared });
    const port = await new Promise<number>((resolve) => worker.once("message", resolve));
    await using fetch = pooledFetch();
    const url = `http://127.0.0.1:${port}/`;
    await ask(fetch, url);
    worker.postMessage("close");
    // This thread hears nothing of the closed connection until it has asked again.
    Atomics.wait(closed, 0, 0, 10_000);
    expect(fetch.stats()).toMatchObject({ connections: 1 });
    expect(await ask(fetch, url)).toBe("fine");
    expect(fetch.stats()).toMatchObject({ opened: 2, lost: 1, failed: 0 });
    await worker.terminate();
  });

  it("that break under a request fail it, once, and only it", async () => {
    let requests = 0;
    await using server = await serve((request, response) => (++requests === 2 ? request.socket.destroy() : echo(request, response)));
    await using fetch = pooledFetch();
    await ask(fetch, server.url);
    await expect(ask(fetch, server.url)).rejects.toThrow("fetch failed");
    expect(await ask(fetch, server.url)).toBe("héllo");
    expect(requests).toBe(3);
    expect(fetch.stats()).toMatchObject({ requests: 3, failed: 1, lost: 1, opened: 2 });
  });

  it("that cannot be opened fail the request and are not counted as opened", async () => {
    const server = await serve(echo);
    await server[Symbol.asyncDispose]();
    await using fetch = pooledFetch();
    await expect(ask(fetch, server.url)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
    expect(fetch.stats()).toMatchObject({ opened: 0, requests: 1, failed: 1, pending: 0 });
  });

  it("are free again when a stream is aborted", async () => {
    await using server = await serve((request, response) => {
      if (request.url === "/stream") response.write("first");
      else echo(request, response);
    });
    await using fetch = pooledFetch({ connections: 1 });
    const controller = new AbortController();
    const response = await fetch(`${server.url}stream`, { ...post, signal: controller.signal });
    const waiting = ask(fetch, server.url);
    await eventually(() => fetch.stats().pending === 1);
    controller.abort(new Error("enough"));
    await expect(response.text()).rejects.toThrow("enough");
    expect(await waiting).toBe("héllo");
    expect(fetch.stats()).toMatchObject({ running: 0, pending: 0, failed: 0, connections: 1 });
  });

  it("are left alone by a request that is aborted while it waits", async () => {
    const gate = new Gate();
    await using server = await serve(gate.answer);
    await using fetch = pooledFetch({ connections: 1 });
    const first = ask(fetch, server.url);
    await eventually(() => gate.held.length === 1);
    const controller = new AbortController();
    const second = ask(fetch, server.url, { ...post, signal: controller.signal });
    controller.abort(new Error("no more"));
    await expect(second).rejects.toThrow("no more");
    gate.open();
    expect(await first).toBe("done");
    expect(fetch.stats()).toMatchObject({ requests: 2, failed: 0, opened: 1 });
  });

  it.each([[undefined, true, 30_000], [5_000, true, 5_000]])("are asked for by the system after tcpKeepAliveMs: %j", async (tcpKeepAliveMs, enabled, delayMs) => {
    const probes = vi.spyOn(Socket.prototype, "setKeepAlive");
    await using server = await serve(echo);
    await using fetch = pooledFetch({ tcpKeepAliveMs });
    await ask(fetch, server.url);
    expect(probes.mock.calls).toContainEqual([enabled, delayMs]);
  });

  it("are never asked for when tcpKeepAliveMs is 0", async () => {
    const probes = vi.spyOn(Socket.prototype, "setKeepAlive");
    await using server = await serve(echo);
    await using fetch = pooledFetch({ tcpKeepAliveMs: 0 });
    await ask(fetch, server.url);
    expect(probes).not.toHaveBeenCalled();
  });

  it("go over TLS", async () => {
    await using server = await serve(echo, { certificate });
    await using fetch = pooledFetch();
    expect(await asks(fetch, server.url, 2)).toEqual(["héllo", "héllo"]);
    expect(fetch.stats()).toMatchObject({ opened: 1, reused: 1 });
  });
});
