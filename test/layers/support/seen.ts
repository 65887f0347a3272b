import type { AIMessage, AIMessageChunk } from "@langchain/core/messages";

/** Everything of a message that its reader can see, but what a hit makes anew. */
export const seen = ({ content, tool_calls, additional_kwargs }: AIMessage | AIMessageChunk) => ({
  content, additional_kwargs, calls: tool_calls?.map(({ name, args }) => ({ name, args })),
});
