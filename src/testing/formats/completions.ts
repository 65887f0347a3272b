import { answerConversation } from "../answering/answer.ts";
import type { Answer, Turn } from "../answering/conversation.ts";
import { estimateTokens } from "../answering/words.ts";
import { BadRequest, sse, type ApiFormat, type Frame, type Job } from "../reply.ts";
import { describe, isObject, optionalCount, requireArray, requireString, stopSequences, type Body } from "./fields.ts";
import { completionsUsage, DONE, openAIErrorBody, openAIErrorFrame } from "./openai.ts";

/** OpenAI's legacy `POST /v1/completions`, one or several prompts. */
export const completions: ApiFormat = {
  read: readCompletion,
  errorBody: openAIErrorBody,
  errorFrame: openAIErrorFrame,
  closingFrames: 1,
  rateLimitStyle: "openai",
};

function readCompletion(body: Body): Job {
  const model = requireString(body.model, "model");
  const prompts = typeof body.prompt === "string" ? [body.prompt] : requireArray(body.prompt, "prompt").map(readPrompt);
  const count = optionalCount(body.n, "n") ?? 1;
  const limits = { maxTokens: optionalCount(body.max_tokens, "max_tokens"), stop: stopSequences(body.stop) };
  const promptTokens = prompts.reduce((sum, prompt) => sum + estimateTokens(prompt), 0);
  const includeUsage = isObject(body.stream_options) && body.stream_options.include_usage === true;
  return {
    model,
    stream: body.stream === true,
    promptTokens,
    prefix: prompts.join("\n"),
    answer({ id, createdAt, digest, cachedTokens, digestInText }) {
      const suffix = digestInText ? ` [#${digest}]` : "";
      const ask = (prompt: string, variant: number): Answer => {
        const turns: Turn[] = [{ role: "user", text: prompt }];
        return answerConversation(model, { turns, tools: [], toolChoice: "none", parallelToolCalls: false, ...limits }, suffix, variant);
      };
      const answers = prompts.flatMap((prompt) => Array.from({ length: count }, (_, variant) => ask(prompt, variant)));
      const completionTokens = answers.reduce((sum, answer) => sum + answer.completionTokens, 0);
      const usage = completionsUsage({ promptTokens, cachedTokens, completionTokens });
      const head = { id: `cmpl-${id}`, object: "text_completion", created: createdAt, model, system_fingerprint: `fp_${digest}` };
      const frame = (choices: unknown[], timed: boolean, extra: Body = {}): Frame => ({ data: sse(JSON.stringify({ ...head, choices, ...extra })), timed });
      return {
        completionTokens,
        whole: () => ({ ...head, choices: answers.map((answer, index) => choice(answer.text, index, answer.finish)), usage }),
        frames: () => [
          ...answers.flatMap((answer, index) => [
            ...answer.pieces.map((piece) => frame([choice(piece, index, null)], true)),
            frame([choice("", index, answer.finish)], false),
          ]),
          ...(includeUsage ? [frame([], false, { usage })] : []),
          { data: DONE, timed: false },
        ],
      };
    },
  };
}

function choice(text: string, index: number, finish: string | null): unknown {
  return { text, index, logprobs: null, finish_reason: finish };
}

function readPrompt(prompt: unknown, at: number): string {
  if (typeof prompt !== "string") throw new BadRequest(`prompt[${at}] must be a string, got ${describe(prompt)}`, "prompt");
  return prompt;
}
