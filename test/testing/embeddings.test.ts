import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { OpenAIEmbeddings } from "@langchain/openai";
import { describe, expect, it } from "vitest";
import type { Simulator } from "langchain-perf/testing";
import { json, post, simulator } from "./support.ts";

function embeddings({ baseURL }: Simulator, fields = {}): OpenAIEmbeddings {
  return new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "any", maxRetries: 0, configuration: { baseURL }, ...fields });
}

function dot(left: number[], right: number[]): number {
  return left.reduce((sum, value, at) => sum + value * right[at]!, 0);
}

async function embed({ baseURL }: Simulator, body: object): Promise<number[]> {
  const { data } = await json(post(`${baseURL}/embeddings`, { model: "text-embedding-3-small", input: "a lost card", ...body }));
  return data[0].embedding;
}

describe("embeddings", () => {
  it("are unit vectors of the model's length or the one asked for", async () => {
    const provider = await simulator();
    const small = await embeddings(provider).embedQuery("a lost card");
    expect(small).toHaveLength(1536);
    expect(dot(small, small)).toBeCloseTo(1, 5);
    expect(await embeddings(provider, { model: "text-embedding-3-large" }).embedQuery("a lost card")).toHaveLength(3072);
    expect(await embeddings(provider, { dimensions: 64 }).embedQuery("a lost card")).toHaveLength(64);
  });

  it("are the same as numbers and as base64, alone and in a batch", async () => {
    const provider = await simulator();
    const floats = await embed(provider, { encoding_format: "float" });
    const encoded = (await embed(provider, { encoding_format: "base64" })) as unknown as string;
    expect(Array.from(new Float32Array(new Uint8Array(Buffer.from(encoded, "base64")).buffer))).toEqual(floats);
    // The client asks for base64 by itself and decodes it.
    const [, second] = await embeddings(provider).embedDocuments(["another text", "a lost card"]);
    expect(second!.every((value, at) => value === floats[at])).toBe(true);
  });

  it("differ by model, and a little by input type", async () => {
    const provider = await simulator();
    const plain = await embed(provider, {});
    expect(Math.abs(dot(plain, await embed(provider, { model: "text-embedding-ada-002" })))).toBeLessThan(0.5);
    const [query, document] = [await embed(provider, { input_type: "query" }), await embed(provider, { input_type: "document" })];
    expect(query).not.toEqual(document);
    expect(dot(query, document)).toBeGreaterThan(0.9);
  });

  it("are nearer for texts that share words", async () => {
    const [card, lost, weather] = await embeddings(await simulator()).embedDocuments(["my card is lost", "I lost my cards", "sunny weather in Rome"]);
    expect(dot(card!, lost!)).toBeGreaterThan(0.5);
    expect(Math.abs(dot(card!, weather!))).toBeLessThan(0.2);
  });

  it("retrieve: most labelled questions find their section among five", async () => {
    const load = (name: string): unknown => JSON.parse(gunzipSync(readFileSync(new URL(`../../examples/data/${name}`, import.meta.url))).toString());
    const sections = load("anthropic_docs.json.gz") as { chunk_link: string; text: string }[];
    const questions = load("anthropic_docs_questions.json.gz") as { question: string; correct_chunks: string[] }[];
    const model = embeddings(await simulator());
    const documents = await model.embedDocuments(sections.map((section) => section.text));
    const queries = await model.embedDocuments(questions.map(({ question }) => question));
    const recalls = queries.map((query, at) => {
      const best = documents.map((document, index) => ({ index, score: dot(query, document) })).sort((left, right) => right.score - left.score);
      const found = new Set(best.slice(0, 5).map(({ index }) => sections[index]!.chunk_link));
      const wanted = questions[at]!.correct_chunks;
      return wanted.filter((link) => found.has(link)).length / wanted.length;
    });
    const recall = recalls.reduce((sum, value) => sum + value, 0) / recalls.length;
    expect(recall).toBeGreaterThan(0.7);
  });

  it("take token ids, count tokens, and refuse what is no text", async () => {
    const provider = await simulator();
    expect(await embed(provider, { input: [1, 2, 3] })).toEqual(await embed(provider, { input: [[1, 2, 3]] }));
    const send = (body: object): Promise<Response> => post(`${provider.baseURL}/embeddings`, { model: "m", ...body });
    expect(await (await send({ input: "four characters a token" })).json()).toMatchObject({ usage: { prompt_tokens: 6 } });
    for (const body of [{ input: [{}] }, { input: "" }, { input: "x", encoding_format: "hex" }, { input: "x", dimensions: 0 }]) expect((await send(body)).status).toBe(400);
  });

  it("of a text without words have a direction", async () => {
    const vector = await embed(await simulator(), { input: "!?" });
    expect(dot(vector, vector)).toBeCloseTo(1, 5);
  });
});

describe("models", () => {
  it("are listed, and any name is one", async () => {
    const { baseURL } = await simulator();
    const { data } = await json(fetch(`${baseURL}/models`));
    expect(data).toContainEqual(expect.objectContaining({ id: "gpt-4o-mini", object: "model" }));
    expect(await (await fetch(`${baseURL}/models/my%2Fmodel`)).json()).toMatchObject({ id: "my/model" });
  });
});
