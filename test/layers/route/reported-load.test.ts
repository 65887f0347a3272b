import { spawnSync } from "node:child_process";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { ReportedLoad, requestsIn } from "../../../src/layers/route/reported-load.ts";
import { eventually } from "../../support/services.ts";
import { VirtualTime } from "../../support/virtual-time.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

const metrics = (running: number): string => `# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name="m"} ${running}.0\n`;

/** A load over a fetch that says what it is told to, in virtual time. */
function fake(answer: (poll: number) => Promise<Response> | Response): { load: ReportedLoad; time: VirtualTime; polls: number[] } {
  const time = new VirtualTime();
  const polls: number[] = [];
  const load = new ReportedLoad("http://server/metrics", {
    clock: time,
    fetch: async (_url, options) => {
      polls.push(time.elapsed());
      const { promise, reject } = Promise.withResolvers<Response>();
      options?.signal?.addEventListener("abort", () => reject(options.signal?.reason));
      return Promise.race([answer(polls.length), promise]);
    },
  });
  cleanups.push(() => load.close());
  return { load, time, polls };
}

describe("the metrics of a server", () => {
  it.each([
    ["vLLM", 'vllm:num_requests_running{engine="0",model_name="m"} 3.0\nvllm:num_requests_waiting{engine="0",model_name="m"} 4.0\nvllm:num_preemptions_total 9', 7],
    ["vLLM with several engines", 'vllm:num_requests_running{engine="0"} 3\nvllm:num_requests_running{engine="1"} 2', 5],
    ["SGLang", 'sglang:num_running_reqs{model_name="m"} 2.0\nsglang:num_queue_reqs{model_name="m"} 2826.0', 2_828],
    ["TGI", "tgi_queue_size 1\ntgi_batch_current_size 8\ntgi_batch_current_max_tokens 100", 9],
    ["llama.cpp", "llamacpp:requests_processing 1\nllamacpp:requests_deferred 5", 6],
    ["Triton with TensorRT-LLM", ["waiting 3", "context 1", "scheduled 4", "max 512", "active 0"].map((kind) => `nv_trt_llm_request_metrics{model="m",request_type="${kind.split(" ")[0]}",version="1"} ${kind.split(" ")[1]}`).join("\n"), 7],
    ["a server that says when", "vllm:num_requests_running 1e1 1700000000000", 10],
    ["one whose labels hold braces, quotes and spaces", String.raw`vllm:num_requests_running{model_name="a } \" 7 b"} 2`, 2],
    ["one with Windows' line ends", "vllm:num_requests_running 2\r\nvllm:num_requests_waiting 1\r\n", 3],
  ])("are understood: %s", (_server, text, requests) => {
    expect(requestsIn(text)).toBe(requests);
  });

  it.each([
    ["other names", "vllm:num_requests_running_total 3\nx_vllm:num_requests_running 3"],
    ["a comment", "# vllm:num_requests_running 3"],
    ["no number", "vllm:num_requests_running NaN\nvllm:num_requests_waiting +Inf\nvllm:num_requests_waiting -1\nvllm:num_requests_waiting"],
    ["a web page", "<html>vllm:num_requests_running 3</html>"],
    ["nothing", ""],
  ])("say nothing: %s", (_what, text) => {
    expect(requestsIn(text)).toBeUndefined();
  });

  it("are read in no time, whatever they are", () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('"', "{", "}", "\\", "a", " ", "\n", "1"), maxLength: 20 }), (piece) => {
      const text = `vllm:num_requests_running{${piece.repeat(20_000)}`;
      const startedAt = performance.now();
      requestsIn(text);
      expect(performance.now() - startedAt).toBeLessThan(500);
    }), { seed: 20_261_129, numRuns: 50 });
  });
});

describe("a reported load", () => {
  it("is asked for once a second while it is used, and no more five seconds after", async () => {
    const { load, time, polls } = fake(() => new Response(metrics(4)));
    expect(load.inFlight).toBeUndefined();
    await time.pass(0);
    expect(load.inFlight).toBe(4);
    for (let second = 0; second < 10; second += 1) {
      await time.pass(1_000);
      expect(load.inFlight).toBe(4);
    }
    expect(polls).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 10_000]);
    await time.pass(60_000);
    expect(polls.at(-1)).toBe(15_000);
    expect(time.alarms).toBe(0);
    expect(load.inFlight).toBeUndefined();
    await time.pass(0);
    expect(load.inFlight).toBe(4);
  });

  it("follows the server", async () => {
    const { load, time } = fake((poll) => new Response(metrics(poll)));
    void load.inFlight;
    await time.pass(1_500);
    expect(load.inFlight).toBe(2);
    await time.pass(1_000);
    expect(load.inFlight).toBe(3);
  });

  it.each<[string, () => Promise<Response> | Response]>([
    ["fails", () => Promise.reject(new TypeError("fetch failed"))],
    ["throws", () => { throw new TypeError("Invalid URL"); }],
    ["is silent", () => new Promise(() => {})],
    ["refuses", () => new Response(metrics(9), { status: 500 })],
    ["has no body", () => new Response(null)],
    ["talks nonsense", () => new Response("<html></html>")],
  ])("counts for three polls when the server %s", async (_fault, answer) => {
    const { load, time, polls } = fake((poll) => (poll === 1 ? new Response(metrics(4)) : answer()));
    void load.inFlight;
    await time.pass(3_000);
    expect(load.inFlight).toBe(4);
    await time.pass(1);
    expect(load.inFlight).toBeUndefined();
    await time.pass(3_000);
    expect(polls).toHaveLength(7);
  });

  it("reads a megabyte and no more", async () => {
    let sent = 0;
    let wasLeft = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(Buffer.from(metrics(9).repeat(1_000)).subarray(0, (sent += 50_000) && 50_000)),
      cancel: () => void (wasLeft = true),
    });
    const { load, time } = fake(() => new Response(endless));
    void load.inFlight;
    // No time passes, so that it is not the deadline that ends it.
    await eventually(async () => (await time.pass(0), wasLeft));
    expect(sent).toBeLessThan(1_300_000);
    expect(load.inFlight).toBeUndefined();
  });

  it("is asked for no more once it is closed", async () => {
    const { load, time, polls } = fake(() => new Response(metrics(4)));
    void load.inFlight;
    load.close();
    void load.inFlight;
    await time.pass(10_000);
    expect(polls).toHaveLength(1);
    expect(time.alarms).toBe(0);
  });
});

describe("over HTTP", () => {
  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => server.close(), () => server.closeAllConnections());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
  }

  function loadOf(url: string): ReportedLoad {
    const load = new ReportedLoad(url);
    cleanups.push(() => load.close());
    return load;
  }

  it("a load is heard, also of a server that takes its time", async () => {
    const load = loadOf(await serve((_request, response) => void setTimeout(() => response.end(metrics(5)), 200)));
    expect(await eventually(() => load.inFlight)).toBe(5);
  });

  it.each<[string, RequestListener]>([
    ["says nothing", () => {}],
    ["never comes to an end", (_request, response) => void response.write(metrics(9))],
    ["sends for ever", (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(metrics(9).repeat(1_000))) continue;
      };
      response.on("drain", more);
      more();
    }],
    ["is cut off", (_request, response) => void response.write(metrics(9), () => response.destroy())],
  ])("a server that %s is given up and asked again", async (_fault, answer) => {
    let asked = 0;
    let closed = 0;
    const load = loadOf(await serve((request, response) => {
      asked += 1;
      response.on("close", () => (closed += 1));
      if (asked === 1) answer(request, response);
      else response.end(metrics(2));
    }));
    const heard = new Set<number | undefined>();
    await eventually(() => heard.add(load.inFlight) && load.inFlight === 2);
    expect([...heard]).toEqual([undefined, 2]);
    expect(closed).toBeGreaterThanOrEqual(1);
  });

  it("a silent server does not keep the process alive", async () => {
    const url = await serve(() => {});
    const module = new URL("../../../src/layers/route/reported-load.ts", import.meta.url).href;
    const program = `const { ReportedLoad } = await import(${JSON.stringify(module)}); void new ReportedLoad(${JSON.stringify(url)}).inFlight; console.log("asked");`;
    // The server lives in this process, which waits: nobody answers, not even the handshake of HTTP.
    const { status, stdout, signal } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { timeout: 10_000, encoding: "utf8" });
    expect({ status, stdout, signal }).toEqual({ status: 0, stdout: "asked\n", signal: null });
  });
});
