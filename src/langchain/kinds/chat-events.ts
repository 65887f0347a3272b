import { AIMessage } from "@langchain/core/messages";
import type { ChatModelStreamEvent } from "@langchain/core/language_models/event";
import { deepCopy, freshId, zeroed, type FreshIds, type UsageLike } from "../messages.ts";
import { finishReason } from "../models.ts";

/** An event of LangChain's content-block streaming protocol (`streamEvents` v3). */
export type StreamEvent = ChatModelStreamEvent;

interface Block {
  type?: string;
  id?: string;
  name?: string;
  text?: string;
  args?: unknown;
  error?: string;
}

/** An event for somebody who did not pay for the answer: new ids, no usage. */
export function freshEvent(event: StreamEvent, id: string | undefined, ids: FreshIds): StreamEvent {
  if ("content" in event && "type" in event.content && String(event.content.type).startsWith("tool_call")) freshId((event.content as Block).id, ids);
  const copy = deepCopy(event, ids) as StreamEvent & { usage?: UsageLike; id?: string };
  if (copy.usage) (copy as { usage?: unknown }).usage = zeroed(copy.usage);
  if (copy.event === "message-start") {
    if (id === undefined) delete copy.id;
    else copy.id = id;
  }
  return copy;
}

export function eventsHaveContent(event: StreamEvent): boolean {
  return event.event === "content-block-delta" || event.event === "content-block-finish";
}

/** Why the answer ended, in the provider's own words where it has some; nothing when the stream stopped before its end. */
export function eventsReasons(events: readonly StreamEvent[]): (string | undefined)[] {
  const finish = events.findLast((event) => event.event === "message-finish");
  return finish ? [finishReason(finish.responseMetadata) ?? finish.reason] : [];
}

export function eventsUsage(events: readonly StreamEvent[]): UsageLike | undefined {
  const last = events.findLast((event) => "usage" in event && event.usage !== undefined) as { usage?: UsageLike } | undefined;
  return last?.usage;
}

/** The message that the events add up to, with plain text as a string, as `invoke` gives it. */
export function messageOfEvents(events: readonly StreamEvent[]): AIMessage {
  const blocks = [...finishedBlocks(events), ...unfinishedTexts(events)];
  const finish = events.findLast((event) => event.event === "message-finish");
  const start = events.find((event) => event.event === "message-start");
  const usage = eventsUsage(events);
  const calls = blocks.filter((block) => block.type === "tool_call");
  const broken = blocks.filter((block) => block.type === "invalid_tool_call");
  const rest = blocks.filter((block) => block.type !== "tool_call" && block.type !== "invalid_tool_call");
  const plain = rest.every((block) => block.type === "text");
  return new AIMessage({
    content: plain ? rest.map((block) => block.text ?? "").join("") : (rest as unknown as AIMessage["content"] & string),
    tool_calls: calls.map(({ id, name = "", args }) => ({ type: "tool_call" as const, id, name, args: args as Record<string, unknown> })),
    invalid_tool_calls: broken.map(({ id, name, args, error }) => ({ type: "invalid_tool_call" as const, id, name, args: args as string, error })),
    response_metadata: { ...finish?.responseMetadata, ...(finish?.reason ? { finish_reason: finish.reason } : {}) },
    ...(start?.id === undefined ? {} : { id: start.id }),
    ...(usage ? { usage_metadata: { input_tokens: 0, output_tokens: 0, total_tokens: 0, ...usage } as NonNullable<AIMessage["usage_metadata"]> } : {}),
  });
}

function finishedBlocks(events: readonly StreamEvent[]): Block[] {
  return events.filter((event) => event.event === "content-block-finish").map((event) => event.content as Block);
}

/** Of an answer that broke off: texts whose blocks did not come to their end. */
function unfinishedTexts(events: readonly StreamEvent[]): Block[] {
  const texts = new Map<number, string>();
  for (const event of events) {
    if (event.event === "content-block-finish") texts.delete(event.index);
    else if (event.event === "content-block-delta" && event.delta.type === "text-delta") texts.set(event.index, (texts.get(event.index) ?? "") + event.delta.text);
  }
  return [...texts.values()].map((text) => ({ type: "text", text }));
}
