import type { AIMessageChunk } from "@langchain/core/messages";

/** The message that the chunks of a stream add up to. */
export async function sumOf(stream: AsyncIterable<AIMessageChunk> | Promise<AsyncIterable<AIMessageChunk>>): Promise<AIMessageChunk> {
  return (await Array.fromAsync(await stream)).reduce((sum, part) => sum.concat(part));
}
