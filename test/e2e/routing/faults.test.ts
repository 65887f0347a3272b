import { createPerf, withPerf, type CallFacts, type PerfOptions, type StreamInterruptedError } from "langchain-perf";
import { createSimulator, FAULT_KINDS } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { APIS, askedOf, quiet, read, type Api, type ChatLike, type Reading } from "./providers.ts";

/** How an answer travels and is read. Only what is read in parts knows of a first token and of a stall. */
const TRANSPORTS = {
  "invoke, whole": { way: "invoke", inParts: false },
  "invoke, in parts": { way: "invoke", inParts: true },
  stream: { way: "stream", inParts: true },
  "events of v3": { way: "events", inParts: true },
} as const;
type Transport = keyof typeof TRANSPORTS;

/** What a fault does to one request. */
interface Fault {
  /** What the attempt fails of: of an answer that travels whole, and in parts; absent = of nothing. */
  readonly whole?: string;
  readonly parts?: string;
  /** Whether some of the answer has been read by then, in parts; or all of it but the word that it is whole. */
  readonly isMidway?: true | "all but its end";
  /** What the call ends with where nobody else answers. @default whatever the provider's client throws */
  readonly ends?: object;
  /** Requests to the one deployment there is, as long as it fails. @default 3: two retries */
  readonly alone?: number;
  /** Nobody else is asked. */
  readonly isFinal?: true;
  /** By which timeout it ends, of an answer in parts. */
  readonly timeout?: "firstTokenMs" | "stallMs";
}

const refused = (status: number, kind: string, more: Partial<Fault> = {}): Fault => ({ whole: kind, parts: kind, ends: { status }, ...more });
const broken = (more: Partial<Fault> = {}): Fault => ({ whole: "interrupted", parts: "interrupted", ...more });
const late = (timeout: Fault["timeout"] & string, more: Partial<Fault> = {}): Fault => ({ whole: "timeout", parts: "timeout", alone: 1, timeout, ...more });

const FAULTS: Readonly<Record<string, Fault>> = {
  "status=400": refused(400, "refused", { alone: 1, isFinal: true }),
  "status=401": refused(401, "auth", { alone: 1 }),
  "status=403": refused(403, "auth", { alone: 1 }),
  "status=404": refused(404, "not-found", { alone: 1 }),
  "status=408": refused(408, "overloaded"),
  // Nobody waits longer than retry.maxDelayMs says.
  "status=429": refused(429, "rate-limited", { alone: 1 }),
  "status=429,retry-after=30": refused(429, "rate-limited", { alone: 1 }),
  "status=429,retry-after-ms=5": refused(429, "rate-limited"),
  "status=500": refused(500, "server"),
  "status=502": refused(502, "overloaded"),
  "status=503": refused(503, "overloaded"),
  "status=529": refused(529, "overloaded"),
  reset: { whole: "network", parts: "network" },
  silent: late("firstTokenMs"),
  "slow=60000": late("firstTokenMs"),
  "slow=5": {},
  // Half of a body is a network's failure to its reader; of a stream something had begun.
  "cut=0": broken({ whole: "network" }),
  "cut=3": broken({ whole: "network", isMidway: true }),
  "end=0": broken(),
  "end=3": broken({ isMidway: true }),
  "stall=0": late("firstTokenMs"),
  "stall=3": late("stallMs", { isMidway: true }),
  "malformed=0": broken(),
  "malformed=3": broken({ isMidway: true }),
  // A `[DONE]` is not missed after a reason to end.
  "no-done": {},
  "content-type=text/html": broken(),
  "error-event=0": broken({ whole: "server" }),
  "error-event=3": broken({ whole: "server", isMidway: true }),
};

/** The last event of these is what says that the answer is whole. */
function needsItsEnd(api: Api, transport: Transport): boolean {
  return api === "OpenAI's responses API" ? TRANSPORTS[transport].inParts : api === "Anthropic" && transport === "events of v3";
}

function faultOf(name: string, api: Api, transport: Transport): Fault {
  if (name === "no-done" && needsItsEnd(api, transport)) return { parts: "interrupted", isMidway: "all but its end" };
  return FAULTS[name] as Fault;
}

const SOUND = Array.from({ length: 8 }, (_, at) => `word${at}`).join(" ");
const LONG_MS = 20_000;
/** Of those that are to run out. A sound answer takes some milliseconds. */
const SHORT_MS = 750;

function timeoutsFor({ timeout }: Fault, { inParts }: (typeof TRANSPORTS)[Transport]): NonNullable<PerfOptions["timeouts"]> {
  if (!inParts) return { attemptMs: timeout ? SHORT_MS : LONG_MS };
  return { firstTokenMs: LONG_MS, stallMs: LONG_MS, ...(timeout && { [timeout]: SHORT_MS }) };
}

interface Setup {
  readonly api: Api;
  readonly transport: Transport;
  readonly fault: Fault;
  /** The simulated provider's name for it. */
  readonly rule: string;
  /** Whether a sound deployment is there besides. */
  readonly several: boolean;
  readonly onInterrupt?: "hold";
}

/** Asks once, and tells all that can be seen of it afterwards. */
async function asked({ api, transport, fault, rule, several, onInterrupt }: Setup): Promise<{ reading: Reading; attempts: string[]; facts: CallFacts }> {
  await using faulty = await createSimulator({ faults: [rule] });
  await using sound = await createSimulator();
  const model = APIS[api](faulty);
  const second = several ? [{ id: "sound", model: APIS[api](sound), priority: 1 }] : [];
  await using perf = createPerf({
    routing: { deployments: [{ id: "faulty", model }, ...second], ...(onInterrupt && { onInterrupt }) },
    retry: { baseDelayMs: 1, maxDelayMs: 50 },
    timeouts: timeoutsFor(fault, TRANSPORTS[transport]),
  });
  const calls: CallFacts[] = [];
  perf.on("call", (call) => calls.push(call));
  const startedAt = performance.now();
  const reading = await read(TRANSPORTS[transport].way, withPerf(model, perf) as ChatLike);
  const tookMs = performance.now() - startedAt;
  await quiet(perf, faulty, sound);
  const facts = calls[0] as CallFacts;
  // Neither LangChain nor a provider's client has asked by itself.
  expect(faulty.count() + sound.count()).toBe(facts.attempts.length);
  expect(calls).toHaveLength(1);
  // Nothing was waited for that would not have come: a minute of slowness, an answer that stands still.
  expect(tookMs).toBeLessThan(LONG_MS / 2);
  return { reading, attempts: askedOf(facts), facts };
}

function expectWhole({ text, error }: Reading): void {
  expect({ text, error }).toEqual({ text: SOUND, error: undefined });
}

/** It broke off after some of it was given, and what was given is told. */
function expectInterrupted({ text, error }: Reading, { timeout, isMidway }: Fault): void {
  const { partsDelivered, partial, cause } = error as StreamInterruptedError;
  expect(error).toMatchObject({ name: "StreamInterruptedError", code: "PERF_STREAM_INTERRUPTED", retryable: true });
  expect(partsDelivered).toBeGreaterThan(0);
  expect(text).toBe(isMidway === "all but its end" ? SOUND : SOUND.slice(0, "word0 word1 word2".length));
  expect((partial as { text: string }).text).toBe(text);
  if (timeout) expect(cause).toMatchObject({ name: "DeadlineError", message: expect.stringContaining(timeout) });
}

/** It failed, and gave nothing. */
function expectFailed({ text, parts, error }: Reading, { ends, timeout }: Fault, { inParts }: { inParts: boolean }): void {
  expect([text, parts]).toEqual(["", 0]);
  expect(error).toBeInstanceOf(Error);
  if (ends) expect(error).toMatchObject(ends);
  if (timeout) expect(error).toMatchObject({ name: "DeadlineError", message: expect.stringContaining(inParts ? timeout : "attemptMs") });
}

it("the table has every fault that a simulated provider can make", () => {
  expect(new Set(Object.keys(FAULTS).map((fault) => fault.split(/[=,]/)[0]))).toEqual(new Set(FAULT_KINDS));
});

const cases = (Object.keys(APIS) as Api[]).flatMap((api) => (Object.keys(TRANSPORTS) as Transport[]).flatMap((transport) => Object.keys(FAULTS).map((rule) => ({ api, transport, rule }))));

// Most of the time they wait.
describe.concurrent.each(cases)("$api, $transport: $rule", ({ api, transport, rule }) => {
  const fault = faultOf(rule, api, transport);
  const { way, inParts } = TRANSPORTS[transport];
  const kind = inParts ? fault.parts : fault.whole;
  const isSeen = way !== "invoke" && fault.isMidway !== undefined;
  const setup = { api, transport, fault, rule };
  const failures = (count: number): string[] => Array.from({ length: count }, () => `faulty ${kind}`);

  it("with another deployment", async () => {
    const { reading, attempts, facts } = await asked({ ...setup, several: true });
    if (kind === undefined) {
      expectWhole(reading);
      expect([attempts, facts.deployment]).toEqual([["faulty"], "faulty"]);
    } else if (isSeen) {
      expectInterrupted(reading, fault);
      expect(attempts).toEqual(failures(1));
    } else if (fault.isFinal) {
      expectFailed(reading, fault, { inParts });
      expect(attempts).toEqual(failures(1));
    } else {
      expectWhole(reading);
      // A single 500 is an accident: the same deployment is asked once more.
      expect([attempts, facts.deployment]).toEqual([[...failures(kind === "server" ? 2 : 1), "sound"], "sound"]);
    }
    const [status, wait] = [/status=(\d+)/.exec(rule)?.[1], /retry-after(?:-ms)?=(\d+)/.exec(rule)?.[1]];
    if (status !== undefined) expect(facts.attempts[0]).toMatchObject({ status: Number(status), ...(wait && { retryAfterMs: wait === "30" ? 30_000 : 5 }) });
  });

  it("with one deployment", async () => {
    const { reading, attempts } = await asked({ ...setup, several: false });
    if (kind === undefined) {
      expectWhole(reading);
      expect(attempts).toEqual(["faulty"]);
    } else if (isSeen) {
      expectInterrupted(reading, fault);
      expect(attempts).toEqual(failures(1));
    } else {
      expectFailed(reading, fault, { inParts });
      expect(attempts).toEqual(failures(fault.alone ?? 3));
    }
  });

  // What is not asked again fails whether it would have answered or not.
  if (kind !== undefined && !isSeen && fault.alone !== 1) {
    it("with one deployment that fails once", async () => {
      const { reading, attempts } = await asked({ ...setup, several: false, rule: `${rule},times=1` });
      expectWhole(reading);
      expect(attempts).toEqual([...failures(1), "faulty"]);
    });
  }

  if (!isSeen) return;
  it("with another deployment, held back until it is whole", async () => {
    const { reading, attempts, facts } = await asked({ ...setup, several: true, onInterrupt: "hold" });
    expectWhole(reading);
    expect([attempts, facts.deployment]).toEqual([[...failures(1), "sound"], "sound"]);
  });
});
