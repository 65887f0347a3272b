import { GenerationChunk, type LLMResult } from "@langchain/core/outputs";
import { canonical, writeIdentity } from "../../core/key.ts";
import { opaque, type Answer, type Kind } from "../../core/layer.ts";
import { llmCodec, type LLMPart } from "./codecs.ts";
import { llmEstimate } from "./estimates.ts";
import { llmReasons } from "./reasons.ts";
import { llmRouting } from "./routing.ts";
import type { LLMInput } from "./model-inputs.ts";
import { deepCopy, estimateBytes, withoutSpentUsage } from "../messages.ts";
import { completenessOf, modelFields, modelName, named, targetOf } from "../models.ts";

export const llmKind: Kind<LLMInput, LLMPart> = opaque<LLMInput, LLMPart, LLMPart>({
  name: "llm",

  identity({ model, prompts, options }, own) {
    const fields = modelFields(model, options, own);
    if (!fields) return undefined;
    if (own.key !== undefined) return writeIdentity([...fields, ["key", own.key]]);
    return writeIdentity([...fields, ...prompts.map((prompt, at) => [`prompt ${at}`, canonical(prompt)] as const)]);
  },

  question: ({ model, prompts, options }) => ({ asked: prompts, config: options, ...named(modelName(model)) }),

  target: ({ model }) => targetOf(model),

  estimate: ({ model, prompts, options }) => llmEstimate(model, prompts, options),

  whole: (answer) => (answer.mode === "invoke" ? (answer.parts[0] as LLMResult) : wholeOf(answer)).generations[0]?.[0]?.text,

  codec: llmCodec,

  routing: llmRouting,

  convert(answer, mode) {
    if (answer.mode === mode) return answer.parts;
    return mode === "invoke" ? [wholeOf(answer)] : chunksOf(answer.parts[0] as LLMResult);
  },

  packer: () => copyPart,

  reissuer: () => (part) => {
    const copy = copyPart(part);
    if ("llmOutput" in copy && copy.llmOutput) copy.llmOutput = withoutSpentUsage(copy.llmOutput);
    return copy;
  },

  completeness: (answer, { model }) => completenessOf(llmReasons(answer), model),

  sizeOf: (answer) => estimateBytes(answer.parts),

  usage(mode, parts) {
    const usage = mode === "invoke" ? ((parts[0] as LLMResult).llmOutput?.tokenUsage as Record<string, number> | undefined) : undefined;
    return usage?.totalTokens === undefined ? undefined : { inputTokens: usage.promptTokens ?? 0, outputTokens: usage.completionTokens ?? 0 };
  },

  hasContent: (part) => !("text" in part) || part.text !== "",
});

function copyPart(part: LLMPart): LLMPart {
  if (!("generations" in part)) return Object.assign(Object.create(Object.getPrototypeOf(part) as object), deepCopy({ ...part })) as GenerationChunk;
  const generations = part.generations.map((list) => list.map((generation) => copyPart(generation as GenerationChunk) as GenerationChunk));
  return { ...part, generations, ...(part.llmOutput ? { llmOutput: deepCopy(part.llmOutput) } : {}) };
}

function wholeOf(answer: Answer<LLMPart>): LLMResult {
  const whole = (answer.parts as GenerationChunk[]).reduce((sum, chunk) => sum.concat(chunk));
  return { generations: [[{ text: whole.text, ...(whole.generationInfo ? { generationInfo: whole.generationInfo } : {}) }]] };
}

function chunksOf(result: LLMResult): GenerationChunk[] {
  return (result.generations[0] ?? []).map(({ text, generationInfo }) => new GenerationChunk({ text, ...(generationInfo ? { generationInfo } : {}) }));
}
