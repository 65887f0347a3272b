import { pooledFetch } from "langchain-perf/http";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/services.ts";
import { ask, many, post } from "./support/calls.ts";
import { type Certificate, echo, Gate, serve, trustedCertificate } from "./support/servers.ts";

let certificate: Certificate;
beforeAll(async () => {
  certificate = await trustedCertificate();
});

describe("pooledFetch with http2", () => {
  it("sends many questions at a time over one connection", async () => {
    const gate = new Gate();
    await using server = await serve((request, response) => (request.url === "/" ? echo : gate.answer)(request, response), { certificate, http2: true });
    await using fetch = pooledFetch({ http2: true });
    expect(await ask(fetch, server.url)).toBe("héllo");
    const answers = many(20, () => ask(fetch, `${server.url}held`));
    await eventually(() => gate.held.length === 20);
    expect(server.accepted).toBe(1);
    expect(fetch.stats()).toMatchObject({ connections: 1, running: 20 });
    gate.open();
    expect(await answers).toEqual(Array(20).fill("done"));
    expect(fetch.stats()).toMatchObject({ opened: 1, reused: 20, running: 0 });
  });

  it("falls back to one question at a time where the server does not speak it", async () => {
    const gate = new Gate();
    await using server = await serve((request, response) => (request.url === "/" ? echo : gate.answer)(request, response), { certificate });
    await using fetch = pooledFetch({ http2: true, connections: 4 });
    await ask(fetch, server.url);
    const answers = many(4, () => ask(fetch, `${server.url}held`));
    await eventually(() => gate.held.length === 4);
    gate.open();
    await answers;
    expect(server.accepted).toBe(4);
  });

  it("closes an idle connection, and none that carries an answer", async () => {
    const gate = new Gate();
    await using server = await serve(gate.answer, { certificate, http2: true });
    await using fetch = pooledFetch({ http2: true, keepAliveMs: 40 });
    const answer = ask(fetch, server.url);
    await eventually(() => gate.held.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(fetch.stats()).toMatchObject({ connections: 1, running: 1 });
    gate.open();
    expect(await answer).toBe("done");
    await eventually(() => fetch.stats().connections === 0);
    await eventually(() => server.sockets.size === 0);
    expect(fetch.stats()).toMatchObject({ opened: 1, closed: 1, lost: 0, failed: 0 });
  });

  it("sends no question twice when the connection breaks", async () => {
    let requests = 0;
    await using server = await serve((request, response) => {
      if (request.url === "/") return echo(request, response);
      if (++requests === 5) for (const socket of server.sockets) socket.destroy();
    }, { certificate, http2: true });
    await using fetch = pooledFetch({ http2: true });
    await ask(fetch, server.url);
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => ask(fetch, `${server.url}held`)));
    expect(outcomes.map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
    expect(await ask(fetch, server.url)).toBe("héllo");
    expect(requests).toBe(5);
    expect(fetch.stats()).toMatchObject({ failed: 5, opened: 2 });
  });

  it("ends a stream that is aborted and keeps the connection", async () => {
    const closed: unknown[] = [];
    await using server = await serve((request, response) => {
      if (request.url === "/") return echo(request, response);
      response.on("close", () => closed.push(request.url));
      response.write("first");
    }, { certificate, http2: true });
    await using fetch = pooledFetch({ http2: true });
    const controller = new AbortController();
    const response = await fetch(`${server.url}stream`, { ...post, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(response.text()).rejects.toThrow("enough");
    await eventually(() => closed.length === 1);
    expect(await ask(fetch, server.url)).toBe("héllo");
    expect(fetch.stats()).toMatchObject({ opened: 1, running: 0 });
  });
});
