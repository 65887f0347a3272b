import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenerativeAIFetchError } from "@google/generative-ai";
import { ContextOverflowError } from "@langchain/core/errors";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { DeadlineError, RateLimitError } from "../../../src/core/errors.ts";
import { CONSEQUENCES, failureKind, type FailureContext, type FailureKind } from "../../../src/layers/route/failures.ts";
import { failure } from "./support/route-world.ts";

/** As OpenAI's client makes them of a response, Azure's and those of compatible servers too. */
function openai(status: number, error: object | undefined): Error {
  return OpenAI.APIError.generate(status, error && { error }, undefined, new Headers());
}

function anthropic(status: number, type: string, message: string): Error {
  return Anthropic.APIError.generate(status, { type: "error", error: { type, message } }, undefined, new Headers());
}

function google(status: number, message: string): Error {
  return new GoogleGenerativeAIFetchError(`[GoogleGenerativeAI Error]: Error fetching from https://generativelanguage.googleapis.com: [${status} ] ${message}`, status, "", []);
}

/** As Node's fetch throws them. */
function fetchFailed(code: string, name = "Error"): Error {
  return new TypeError("fetch failed", { cause: Object.assign(new Error("cause"), { code, name }) });
}

/** As AWS's clients throw them. */
function aws(status: number, name: string, message: string): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status }, $fault: "client" });
}

const GEMINI_RATE = "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. "
  + "* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 10 Please retry in 38.7s.";
const AZURE_RATE = "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. "
  + "Please retry after 9 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.";
const AZURE_FILTER = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.";

const REFUSALS: [kind: FailureKind, what: string, error: unknown][] = [
  ["rate-limited", "OpenAI's 429", openai(429, { message: "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29500, Requested 900.", type: "tokens", code: "rate_limit_exceeded" })],
  ["rate-limited", "Azure's 429", openai(429, { message: AZURE_RATE, code: "429" })],
  ["rate-limited", "Anthropic's 429", anthropic(429, "rate_limit_error", "This request would exceed your organization's rate limit of 50,000 input tokens per minute.")],
  ["rate-limited", "Gemini's 429, which speaks of quotas", google(429, GEMINI_RATE)],
  ["rate-limited", "Mistral's 429", openai(429, { message: "Service tier capacity exceeded for this model." })],
  ["rate-limited", "Bedrock's throttling", aws(429, "ThrottlingException", "Too many tokens, please wait before trying again.")],
  ["quota", "OpenAI's empty account", openai(429, { message: "You exceeded your current quota, please check your plan and billing details.", type: "insufficient_quota", code: "insufficient_quota" })],
  ["quota", "Anthropic's empty account", anthropic(400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.")],
  ["quota", "DeepSeek's empty account", openai(402, { message: "Insufficient Balance" })],
  ["auth", "OpenAI's 401", openai(401, { message: "Incorrect API key provided: sk-x.", code: "invalid_api_key" })],
  ["auth", "Anthropic's 401", anthropic(401, "authentication_error", "invalid x-api-key")],
  ["auth", "Anthropic's 403", anthropic(403, "permission_error", "Your API key does not have permission to use the specified resource.")],
  ["auth", "Bedrock's 403", aws(403, "AccessDeniedException", "You don't have access to the model with the specified model ID.")],
  ["not-found", "OpenAI's 404", openai(404, { message: "The model `gpt-9` does not exist or you do not have access to it.", code: "model_not_found" })],
  ["not-found", "Azure's 404", openai(404, { message: "The API deployment for this resource does not exist.", code: "DeploymentNotFound" })],
  ["refused", "a bad parameter", openai(400, { message: "Unsupported value: 'temperature' does not support 3 with this model.", code: "unsupported_value" })],
  ["refused", "a schema", openai(422, { message: "Input should be a valid list" })],
  ["refused", "Anthropic's bad request", anthropic(400, "invalid_request_error", "messages: roles must alternate")],
  ["context-length", "OpenAI's", openai(400, { message: "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.", code: "context_length_exceeded" })],
  ["context-length", "OpenAI's responses API's", openai(400, { message: "Your input exceeds the context window of this model. Please adjust your input and try again.", code: "context_length_exceeded" })],
  ["context-length", "Anthropic's", anthropic(400, "invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum")],
  ["context-length", "Anthropic's with the answer", anthropic(400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again")],
  ["context-length", "Gemini's", google(400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).")],
  ["context-length", "vLLM's", openai(400, { message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the messages, 500 in the completion).", type: "BadRequestError", code: 400 })],
  ["context-length", "a newer vLLM's", openai(400, { message: "The decoder prompt (length 9000) is longer than the maximum model length of 8192.", type: "BadRequestError" })],
  ["context-length", "Mistral's", openai(400, { message: "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length" })],
  ["context-length", "llama.cpp's", openai(400, { message: "the request exceeds the available context size, try increasing it", type: "exceed_context_size_error" })],
  ["context-length", "TGI's", openai(422, { message: "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`", type: "validation" })],
  ["context-length", "xAI's", openai(400, { message: "This model's maximum prompt length is 131072 but the request contains 537812 tokens." })],
  ["context-length", "Bedrock's", aws(400, "ValidationException", "Input is too long for requested model.")],
  ["context-length", "LangChain's own", new ContextOverflowError("the prompt is longer than the window")],
  ["content-filter", "Azure's", openai(400, { message: AZURE_FILTER, code: "content_filter", innererror: { code: "ResponsibleAIPolicyViolation" } })],
  ["content-filter", "OpenAI's", openai(400, { message: "Your request was rejected as a result of our safety system.", code: "content_policy_violation" })],
  ["content-filter", "OpenRouter's", failure(403, "Your chosen model requires moderation and your input was flagged")],
  ["overloaded", "Anthropic's 529", anthropic(529, "overloaded_error", "Overloaded")],
  ["overloaded", "Gemini's 503", google(503, "The model is overloaded. Please try again later.")],
  ["overloaded", "a gateway's 502", failure(502)],
  ["overloaded", "a gateway's 504", failure(504)],
  ["server", "OpenAI's 500", openai(500, { message: "The server had an error while processing your request. Sorry about that!", type: "server_error" })],
  ["server", "a 501", failure(501)],
];

const BROKEN: [kind: FailureKind, what: string, error: unknown, context?: Partial<FailureContext>][] = [
  ["network", "no connection", fetchFailed("ECONNREFUSED")],
  ["network", "no name", fetchFailed("ENOTFOUND")],
  ["network", "a reset", fetchFailed("ECONNRESET")],
  ["network", "a socket closed", fetchFailed("UND_ERR_SOCKET", "SocketError")],
  ["network", "a certificate", fetchFailed("CERT_HAS_EXPIRED")],
  ["network", "OpenAI's word for it", new OpenAI.APIConnectionError({ cause: fetchFailed("ECONNREFUSED") })],
  ["network", "Anthropic's word for it", new Anthropic.APIConnectionError({ cause: fetchFailed("ECONNREFUSED") })],
  ["network", "a socket hung up", Object.assign(new Error("socket hang up"), { code: "ECONNRESET" })],
  ["interrupted", "a connection that is cut", new TypeError("terminated", { cause: Object.assign(new Error("other side closed"), { code: "UND_ERR_SOCKET", name: "SocketError" }) }), { status: 200, hasBegun: true }],
  ["interrupted", "a chunk that is no JSON", new SyntaxError("Unexpected token < in JSON at position 0"), { status: 200, hasBegun: true }],
  ["interrupted", "a first chunk that is no JSON", new SyntaxError("Unexpected token < in JSON at position 0"), { status: 200 }],
  ["interrupted", "a chunk with an odd shape", new TypeError("Cannot read properties of undefined (reading 'delta')"), { status: 200, hasBegun: true }],
  ["interrupted", "an error in the stream", new OpenAI.APIError(undefined, { message: "The server had an error" }, undefined, undefined), { status: 200, hasBegun: true }],
  ["interrupted", "an error with a status that is none of an error", failure(200, "Unexpected end of JSON input"), { status: 200, hasBegun: true }],
  ["timeout", "our own patience", new DeadlineError("No content came within 50 ms.")],
  ["timeout", "headers that did not come", fetchFailed("UND_ERR_HEADERS_TIMEOUT")],
  ["timeout", "a body that stood still", new TypeError("terminated", { cause: Object.assign(new Error("body"), { code: "UND_ERR_BODY_TIMEOUT" }) }), { status: 200, hasBegun: true }],
  ["timeout", "a connection that took too long", fetchFailed("UND_ERR_CONNECT_TIMEOUT", "ConnectTimeoutError")],
  ["timeout", "OpenAI's word for it", new OpenAI.APIConnectionTimeoutError()],
  ["timeout", "Anthropic's word for it", new Anthropic.APIConnectionTimeoutError()],
  ["timeout", "LangChain's word for OpenAI's", Object.assign(new Error("Request timed out."), { name: "TimeoutError" })],
  ["timeout", "a signal's", new DOMException("The operation was aborted due to timeout", "TimeoutError")],
  ["program", "a mistake of the program's", new TypeError("messages.map is not a function")],
  ["program", "a schema's", Object.assign(new Error("Invalid input"), { name: "ZodError" })],
  ["rate-limited", "a status that was heard of", new Error("no status here"), { status: 429 }],
  ["unknown", "anything else", new Error("what is this?")],
  ["unknown", "no error at all", undefined],
  ["unknown", "a text", "failed"],
];

const nothing: FailureContext = { status: undefined, hasBegun: false };

describe("a request has failed of", () => {
  it.each(REFUSALS)("%s: %s", (kind, _what, error) => {
    expect(failureKind(error, nothing)).toBe(kind);
  });

  it.each(BROKEN)("%s: %s", (kind, _what, error, context) => {
    expect(failureKind(error, { ...nothing, ...context })).toBe(kind);
  });

  it("what it was refused with, whatever error of ours is about it", () => {
    expect(failureKind(new RateLimitError("announced", "refused", 5_000, failure(429)), { status: 429, hasBegun: false })).toBe("rate-limited");
  });
});

describe("the consequences of failures", () => {
  const kinds = (is: (kind: FailureKind) => boolean): FailureKind[] => (Object.keys(CONSEQUENCES) as FailureKind[]).filter(is);

  it("open circuits where the deployment is to blame, and not where the question or the program is", () => {
    expect(kinds((kind) => CONSEQUENCES[kind].isFault)).toEqual(["overloaded", "server", "network", "timeout", "interrupted", "unknown"]);
  });

  it("disable who is of no use until somebody sees to it", () => {
    expect(kinds((kind) => CONSEQUENCES[kind].disables)).toEqual(["quota", "auth", "not-found"]);
  });

  it("end a call where no other deployment could do better", () => {
    expect(kinds((kind) => CONSEQUENCES[kind].elsewhere === "none")).toEqual(["refused"]);
  });
});
