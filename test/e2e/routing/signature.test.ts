import { HumanMessage, type AIMessage, type AIMessageChunk } from "@langchain/core/messages";
import { createPerf, withPerf } from "langchain-perf";
import { expect, it } from "vitest";
import { APIS, faultyAndSound, listeningPerf } from "./providers.ts";

const BY = { deployment: "sound", model: "chunks-5" };

/** A model whose deployment fails, so that another one of another model answers. */
async function routed(options: object = {}) {
  const { faulty, sound } = await faultyAndSound("status=503");
  const model = APIS.OpenAI(faulty);
  const deployments = [{ id: "faulty", model }, { id: "sound", model: APIS.Anthropic(sound, "chunks-5"), priority: 1 }];
  const { perf } = listeningPerf({ routing: { deployments }, ...options });
  return { model, perf, fast: withPerf(model, perf) };
}

it("stands in what invoke, stream and their events give: who answered, and by which model", async () => {
  const { fast } = await routed();
  expect((await fast.invoke("x")).response_metadata.perf).toEqual(BY);
  let sum: AIMessageChunk | undefined;
  for await (const chunk of await fast.stream("x")) sum = sum ? sum.concat(chunk) : chunk;
  expect(sum?.response_metadata.perf).toEqual(BY);
  const finished: unknown[] = [];
  const parts = fast._streamChatModelEvents([new HumanMessage("x")], {} as never) as AsyncIterable<{ event: string; responseMetadata?: { perf?: unknown } }>;
  for await (const part of parts) if (part.event === "message-finish") finished.push(part.responseMetadata?.perf);
  expect(finished).toEqual([BY]);
});

it("is read in parts and given whole all the same", async () => {
  const { fast } = await routed({ timeouts: { firstTokenMs: 20_000 } });
  const message: AIMessage = await fast.invoke("x");
  expect([message.text, message.response_metadata.perf]).toEqual(["word0 word1 word2 word3 word4", BY]);
});

it("is that of the first answer where a cache gives it again", async () => {
  const { faulty, sound } = await faultyAndSound("status=503");
  const deployments = [{ id: "faulty", model: APIS.OpenAI(faulty) }, { id: "sound", model: APIS.OpenAI(sound), priority: 1 }];
  await using perf = createPerf({ cache: true, routing: { deployments } });
  const fast = withPerf(APIS.OpenAI(faulty), perf);
  await fast.invoke("x");
  expect((await fast.invoke("x")).response_metadata.perf).toMatchObject({ deployment: "sound", cached: true });
});

it("is nowhere where nobody named deployments", async () => {
  const { sound } = await faultyAndSound();
  const { perf } = listeningPerf({ retry: { maxRetries: 1 } });
  expect((await withPerf(APIS.OpenAI(sound), perf).invoke("x")).response_metadata.perf).toBeUndefined();
});
