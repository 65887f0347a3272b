import { embedText } from "../answering/embed.ts";
import { estimateTokens } from "../answering/words.ts";
import { BadRequest, type ApiFormat, type Job } from "../reply.ts";
import { describe, optionalCount, requireArray, requireString, type Body } from "./fields.ts";
import { openAIErrorBody, openAIErrorFrame } from "./openai.ts";

const DIMENSIONS: Record<string, number> = { "text-embedding-3-large": 3072 };
const DEFAULT_DIMENSIONS = 1536;

/** OpenAI's `POST /v1/embeddings`, with the `input_type` that other providers have. */
export const embeddings: ApiFormat = {
  read: readEmbeddings,
  errorBody: openAIErrorBody,
  errorFrame: openAIErrorFrame,
  closingFrames: 0,
  rateLimitStyle: "openai",
};

function readEmbeddings(body: Body): Job {
  const model = requireString(body.model, "model");
  const inputs = readInputs(body.input);
  const dimensions = optionalCount(body.dimensions, "dimensions") ?? DIMENSIONS[baseName(model)] ?? DEFAULT_DIMENSIONS;
  const format = body.encoding_format ?? "float";
  if (format !== "float" && format !== "base64") throw new BadRequest(`encoding_format must be float or base64, got ${describe(format)}`, "encoding_format");
  const inputType = body.input_type === undefined || body.input_type === null ? undefined : requireString(body.input_type, "input_type");
  const promptTokens = inputs.reduce((sum, input) => sum + estimateTokens(input), 0);
  const encode = format === "base64" ? base64 : (vector: Float32Array): number[] => Array.from(vector);
  return {
    model,
    stream: false,
    promptTokens,
    prefix: "",
    answer: () => ({
      completionTokens: 0,
      whole: () => ({
        object: "list",
        data: inputs.map((input, index) => ({ object: "embedding", index, embedding: encode(embedText(input, baseName(model), inputType, dimensions)) })),
        model,
        usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
      }),
      frames: () => [],
    }),
  };
}

/** A text, texts, a list of token ids or several such lists. */
function readInputs(input: unknown): string[] {
  if (typeof input === "string") return [requireString(input, "input")];
  const entries = requireArray(input, "input");
  if (entries.every((entry) => typeof entry === "number")) return [entries.join(" ")];
  return entries.map((entry, at) => {
    if (Array.isArray(entry) && entry.every((token) => typeof token === "number")) return entry.join(" ");
    if (typeof entry !== "string") throw new BadRequest(`input[${at}] must be a string or a list of token ids, got ${describe(entry)}`, "input");
    return entry;
  });
}

/** A fault written behind the model's name does not move its vectors. */
function baseName(model: string): string {
  return model.split("+", 1)[0]!;
}

function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}
