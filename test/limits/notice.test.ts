import { APIError } from "openai";
import { describe, expect, it } from "vitest";
import { noticeOf, noticeOfError } from "../../src/limits/notice.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");

function notice(headers: Record<string, string>, status = 200): unknown {
  return noticeOf(status, new Map(Object.entries(headers)), NOW);
}

describe("a notice", () => {
  it("is read from OpenAI's headers", () => {
    const headers = {
      "x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999", "x-ratelimit-reset-requests": "6ms",
      "x-ratelimit-limit-tokens": "200000", "x-ratelimit-remaining-tokens": "199984", "x-ratelimit-reset-tokens": "6m0s",
    };
    expect(notice(headers)).toEqual({
      isRefusal: false,
      requests: { limit: 10_000, remaining: 9_999, resetMs: 6 },
      tokens: { limit: 200_000, remaining: 199_984, resetMs: 360_000 },
    });
  });

  it.each([["7ms", 7], ["1.5s", 1_500], ["6m0s", 360_000], ["1h0m0s", 3_600_000], ["2m59.56s", 179_560], ["1d2h", 93_600_000], ["0s", 0], ["12", 12_000]])("reads the duration %s", (text, resetMs) => {
    expect(notice({ "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": text })).toEqual({ isRefusal: false, requests: { remaining: 1, resetMs } });
  });

  it("is read from Azure's headers, which may tell what remains and no more", () => {
    expect(notice({ "x-ratelimit-remaining-requests": "19", "x-ratelimit-remaining-tokens": "19913" })).toEqual({ isRefusal: false, requests: { remaining: 19 }, tokens: { remaining: 19_913 } });
  });

  it("is read from Anthropic's headers, with moments by the clock of the response", () => {
    const headers = {
      date: "Sat, 21 Nov 2026 11:00:00 GMT",
      "anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "40", "anthropic-ratelimit-requests-reset": "2026-11-21T11:00:12Z",
      "anthropic-ratelimit-tokens-limit": "48000", "anthropic-ratelimit-tokens-remaining": "30000", "anthropic-ratelimit-tokens-reset": "2026-11-21T11:00:22Z",
      "anthropic-ratelimit-input-tokens-limit": "40000", "anthropic-ratelimit-input-tokens-remaining": "1000",
    };
    expect(notice(headers)).toEqual({
      isRefusal: false,
      requests: { limit: 50, remaining: 40, resetMs: 12_000 },
      tokens: { limit: 48_000, remaining: 30_000, resetMs: 22_000 },
    });
  });

  it("counts Anthropic's limits of prompts and of answers together where it tells no other, by the scarcer", () => {
    const headers = {
      "anthropic-ratelimit-input-tokens-limit": "40000", "anthropic-ratelimit-input-tokens-remaining": "30000", "anthropic-ratelimit-input-tokens-reset": "2026-11-21T12:00:15Z",
      "anthropic-ratelimit-output-tokens-limit": "8000", "anthropic-ratelimit-output-tokens-remaining": "2000", "anthropic-ratelimit-output-tokens-reset": "2026-11-21T12:00:45Z",
    };
    expect(notice(headers)).toEqual({ isRefusal: false, tokens: { limit: 48_000, remaining: 12_000, resetMs: 45_000 } });
  });

  it("is read from Mistral's headers", () => {
    const headers = { "x-ratelimit-limit-tokens-minute": "5000000", "x-ratelimit-remaining-tokens-minute": "4999911", "x-ratelimit-limit-req-minute": "720", "x-ratelimit-remaining-req-minute": "717" };
    expect(notice(headers)).toEqual({ isRefusal: false, requests: { limit: 720, remaining: 717 }, tokens: { limit: 5_000_000, remaining: 4_999_911 } });
  });

  it("is a refusal with 429, and with a server's error that says when to come back", () => {
    expect(notice({}, 429)).toEqual({ isRefusal: true });
    expect(notice({ "retry-after-ms": "1500", "retry-after": "2" }, 429)).toEqual({ isRefusal: true, retryAfterMs: 1_500 });
    expect(notice({ "retry-after": "20" }, 503)).toEqual({ isRefusal: true, retryAfterMs: 20_000 });
    expect(notice({ "retry-after": "Sat, 21 Nov 2026 12:00:30 GMT" }, 429)).toEqual({ isRefusal: true, retryAfterMs: 30_000 });
    expect(notice({}, 503)).toBeUndefined();
    expect(notice({ "retry-after": "20" }, 200)).toBeUndefined();
  });

  it("is no refusal when it is of no use to come back", () => {
    expect(notice({ "x-should-retry": "false" }, 429)).toBeUndefined();
  });

  it.each([
    ["more remains than the limit", { "x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "11" }],
    ["the limit is nothing", { "x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0" }],
    ["no number is one", { "x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "-1" }],
    ["nothing is said", { "content-type": "application/json" }],
  ])("is none when %s", (_what, headers) => {
    expect(notice(headers as Record<string, string>)).toBeUndefined();
  });

  it.each(["2026-11-21T11:59:59Z", "1795262400", "soon", "", "1.2.3s"])("does without the reset time %j", (text) => {
    expect(notice({ "anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "40", "anthropic-ratelimit-requests-reset": text })).toEqual({
      isRefusal: false,
      requests: { limit: 50, remaining: 40 },
    });
  });
});

describe("a notice of an error", () => {
  const told = { isRefusal: true, retryAfterMs: 3_000, requests: { remaining: 0 } };
  const headers = { "retry-after": "3", "x-ratelimit-remaining-requests": "0" };

  it("is read from an SDK's error", () => {
    expect(noticeOfError(APIError.generate(429, {}, "too many", new Headers(headers)), NOW)).toEqual(told);
    expect(noticeOfError(Object.assign(new Error("too many"), { status: 429, headers }), NOW)).toEqual(told);
  });

  it("is read from axios' error", () => {
    expect(noticeOfError(Object.assign(new Error("too many"), { response: { status: 429, headers } }), NOW)).toEqual(told);
  });

  it("is none when there was no response", () => {
    for (const error of [new TypeError("fetch failed"), undefined, null, "text", { status: "429" }]) expect(noticeOfError(error, NOW)).toBeUndefined();
  });
});
