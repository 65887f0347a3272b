import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CallCounts, noCalls } from "./counts.ts";
import { digestOf } from "./request.ts";

/** A running stub. */
export interface OpenAIStub {
  /** What a client takes as `baseURL`. */
  readonly baseURL: string;
  close(): Promise<void>;
}

interface ChatRequest {
  model: string;
  messages: { role: string; content: unknown }[];
  stream?: boolean;
}

/**
 * The least of OpenAI's chat completions over real HTTP, on a free port of 127.0.0.1: a text that
 * depends on nothing but the request, streamed or not. Each request is counted as a chat call.
 */
export async function startOpenAIStub(counts: CallCounts = noCalls()): Promise<OpenAIStub> {
  let answers = 0;
  const server = createServer((request, response) => {
    counts.chat += 1;
    answers += 1;
    const id = `chatcmpl-${answers}`;
    void readJson(request).then((body) => answer(id, body as ChatRequest, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    baseURL: `http://127.0.0.1:${port}/v1`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

function answer(id: string, body: ChatRequest, response: ServerResponse): void {
  const text = `[${digestOf(body.model, body.messages)}] You said: ${String(body.messages.at(-1)?.content)}`;
  const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
  const base = { id, created: 1_700_000_000, model: body.model };
  if (body.stream !== true) {
    const choices = [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }];
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ...base, object: "chat.completion", choices, usage }));
    return;
  }
  response.setHeader("content-type", "text/event-stream");
  const send = (choices: unknown[], more: object = {}): void => {
    response.write(`data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", choices, ...more })}\n\n`);
  };
  send([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]);
  for (const word of text.match(/\s*\S+/g) ?? []) send([{ index: 0, delta: { content: word }, finish_reason: null }]);
  send([{ index: 0, delta: {}, finish_reason: "stop" }]);
  send([], { usage });
  response.end("data: [DONE]\n\n");
}
