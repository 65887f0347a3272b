import { execFile } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ChatOpenAI } from "@langchain/openai";
import { pooledFetch, type PooledFetchOptions } from "langchain-perf/http";
import { createSimulator } from "langchain-perf/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/services.ts";
import { ask, many, post } from "./support/calls.ts";
import { type Certificate, echo, Gate, serve, trustedCertificate } from "./support/servers.ts";

const source = (path: string): string => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

let certificate: Certificate;
beforeAll(async () => {
  certificate = await trustedCertificate();
});

describe("pooledFetch as a fetch", () => {
  it("takes what fetch takes, and answers as fetch does", async () => {
    await using server = await serve(echo);
    await using fetch = pooledFetch();
    const form = new FormData();
    form.set("file", new Blob(["bytes"]), "a.txt");
    const stream = new Response("streamed").body;
    expect(await ask(fetch, server.url, { method: "POST", body: new TextEncoder().encode("bytes") })).toBe("bytes");
    expect(await ask(fetch, server.url, { method: "POST", body: form })).toContain('filename="a.txt"');
    expect(await ask(fetch, server.url, { method: "POST", body: stream, duplex: "half" } as RequestInit)).toBe("streamed");
    expect(await ask(fetch, server.url, { method: "POST", body: "" })).toBe("");
    expect(await (await fetch(new Request(server.url, post))).text()).toBe("héllo");
    expect(await (await fetch(new URL(server.url))).text()).toBe("");
    expect(await (await fetch("data:,text")).text()).toBe("text");
    expect(await fetch(server.url)).toBeInstanceOf(Response);
  });

  it.each([[307, "POST", "héllo"], [303, "GET", ""]])("follows a redirect with %i as fetch does", async (status, method, body) => {
    const seen: unknown[] = [];
    await using server = await serve((request, response) => {
      seen.push(request.method);
      if (request.url === "/to") return echo(request, response);
      request.resume();
      response.writeHead(status, { location: "/to" }).end();
    });
    await using fetch = pooledFetch({ connections: 1 });
    const response = await fetch(server.url, post);
    expect([await response.text(), response.url, seen]).toEqual([body, `${server.url}to`, ["POST", method]]);
    expect(fetch.stats()).toMatchObject({ requests: 1, reused: 1 });
  });

  it("shows its requests and the headers of their answers to who listens to undici's channels", async () => {
    await using server = await serve((_, response) => void response.setHeader("x-ratelimit-remaining-requests", "7").end());
    await using fetch = pooledFetch();
    const heard: string[] = [];
    const create = (message: unknown): void => void heard.push(`${(message as { request: { method: string } }).request.method}`);
    const headers = (message: unknown): void => void heard.push((message as { response: { headers: Buffer[] } }).response.headers.join(" "));
    subscribe("undici:request:create", create);
    subscribe("undici:request:headers", headers);
    await ask(fetch, server.url);
    unsubscribe("undici:request:create", create);
    unsubscribe("undici:request:headers", headers);
    expect(heard[0]).toBe("POST");
    expect(heard[1]).toContain("x-ratelimit-remaining-requests 7");
  });

  it("serves a model, asked and streamed", async () => {
    await using simulator = await createSimulator();
    await using fetch = pooledFetch({ connections: 2 });
    const model = new ChatOpenAI({ model: "chunks-20", apiKey: "none", configuration: { baseURL: simulator.baseURL, fetch } });
    const streamed = async (): Promise<number> => (await Array.fromAsync(await model.stream("Hello"))).length;
    const [parts] = await many(6, streamed);
    expect(parts).toBeGreaterThanOrEqual(20);
    expect((await model.invoke("Hello")).text).not.toBe("");
    expect(fetch.stats()).toMatchObject({ requests: 7, opened: 2, reused: 5, failed: 0 });
  });

  it("frees the connection of a model's stream that is left early", async () => {
    await using simulator = await createSimulator({ latency: "agent" });
    await using fetch = pooledFetch({ connections: 1 });
    const model = new ChatOpenAI({ model: "chunks-20", apiKey: "none", configuration: { baseURL: simulator.baseURL, fetch } });
    for (let call = 0; call < 2; call++) for await (const _ of await model.stream("Hello")) break;
    await eventually(() => fetch.stats().running === 0);
    expect(fetch.stats()).toMatchObject({ requests: 2, pending: 0, failed: 0 });
  });
});

describe("closing pooledFetch", () => {
  it("lets answers under way end, and refuses calls from then on", async () => {
    const gate = new Gate();
    await using server = await serve(gate.answer);
    const fetch = pooledFetch();
    const answer = ask(fetch, server.url);
    await eventually(() => gate.held.length === 1);
    const closed = fetch.close();
    await expect(ask(fetch, server.url)).rejects.toThrow("closed");
    gate.open();
    expect(await answer).toBe("done");
    await closed;
    await eventually(() => server.sockets.size === 0);
    expect(fetch.stats()).toMatchObject({ connections: 0, running: 0 });
    await fetch.close();
  });

  it("waits for a stalled answer as long as it is told and no longer", async () => {
    await using server = await serve((_, response) => void response.write("first"));
    const fetch = pooledFetch();
    const response = await fetch(server.url, post);
    await fetch.close(20);
    await expect(response.text()).rejects.toThrow("terminated");
    expect(fetch.stats()).toMatchObject({ connections: 0, running: 0 });
  });

  it.each([NaN, -1, "20"])("takes no %s for a time, and closes nothing then", async (graceMs) => {
    await using server = await serve(echo);
    await using fetch = pooledFetch();
    await expect(fetch.close(graceMs as number)).rejects.toThrow('Option "pooledFetch.close.graceMs": wanted a number of at least 0, got ');
    expect(await ask(fetch, server.url, post)).toBe("héllo");
  });

  it("takes a time that is longer than timers can count", async () => {
    const gate = new Gate();
    await using server = await serve(gate.answer);
    const fetch = pooledFetch();
    const answer = ask(fetch, server.url);
    await eventually(() => gate.held.length === 1);
    const closed = fetch.close(Infinity);
    setTimeout(() => gate.open(), 20);
    expect(await answer).toBe("done");
    await closed;
  });

  it("before the first call opens nothing", async () => {
    const fetch = pooledFetch();
    await fetch.close();
    await expect(ask(fetch, "http://127.0.0.1:1/")).rejects.toThrow("closed");
  });
});

describe("the process", () => {
  const run = async (lines: readonly string[], environment: NodeJS.ProcessEnv = {}, entry = source("http.ts")): Promise<string> => {
    const program = [`import { pooledFetch } from "${entry}";`, ...lines].join("\n");
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module-typescript", "--eval", program], { timeout: 10_000, env: { ...process.env, ...environment } });
    return stdout;
  };

  it.each([["HTTP/1", false], ["HTTP/2", true]])("ends with idle connections open: %s", async (_, http2) => {
    await using server = await serve(echo, { certificate, http2 });
    const trusted = mkdtempSync(join(tmpdir(), "langchain-perf-trusted-"));
    writeFileSync(join(trusted, "certificate.pem"), certificate.cert);
    const lines = [
      `const fetch = pooledFetch({ connections: 1, keepAliveMs: 600_000, http2: ${http2} });`,
      `for (let call = 0; call < 2; call++) await (await fetch("${server.url}", { method: "POST", body: "hello" })).text();`,
      `console.log(JSON.stringify(fetch.stats()));`,
    ];
    const stats: unknown = JSON.parse(await run(lines, { NODE_EXTRA_CA_CERTS: join(trusted, "certificate.pem") }));
    expect(stats).toMatchObject({ connections: 1, reused: 1 });
    rmSync(trusted, { recursive: true });
  });

  it("says how to install undici where it is missing, at the first call", async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "langchain-perf-alone-"));
    cpSync(source("core"), join(elsewhere, "core"), { recursive: true });
    cpSync(source("http"), join(elsewhere, "http"), { recursive: true });
    cpSync(source("http.ts"), join(elsewhere, "http.ts"));
    const lines = [`const fetch = pooledFetch();`, `await fetch("http://127.0.0.1:1/").catch(({ name, message }) => console.log(name, message, fetch.stats().failed));`];
    expect(await run(lines, {}, join(elsewhere, "http.ts"))).toBe('MissingPeerError The package "undici" is not installed: npm install undici 1\n');
    rmSync(elsewhere, { recursive: true });
  });
});

describe("the options of pooledFetch", () => {
  it.each([
    [{ connections: 0 }, 'Option "pooledFetch.connections": wanted a whole number of at least 1, got 0.'],
    [{ keepAliveMs: 0 }, 'Option "pooledFetch.keepAliveMs"'],
    [{ keepAliveMs: Infinity }, 'Option "pooledFetch.keepAliveMs"'],
    [{ tcpKeepAliveMs: 500 }, 'Option "pooledFetch.tcpKeepAliveMs": wanted 0 or at least 1000, got 500.'],
    [{ http2: "yes" }, 'Option "pooledFetch.http2": wanted true or false, got "yes".'],
    [{ sockets: 3 }, 'Option "pooledFetch.sockets": wanted one of the known options'],
  ])("refuses %j", (options, message) => {
    expect(() => pooledFetch(options as PooledFetchOptions)).toThrow(message);
  });

  it("may set no limit to the connections", async () => {
    const gate = new Gate();
    await using server = await serve(gate.answer);
    await using fetch = pooledFetch({ connections: Infinity });
    const answers = many(80, () => ask(fetch, server.url));
    await eventually(() => gate.held.length === 80);
    gate.open();
    await answers;
    expect(server.accepted).toBe(80);
  });
});
