import type { AIMessage, BaseMessage } from "@langchain/core/messages";
import { Unfit } from "../../core/layer.ts";
import { shareAccount, type ModelLike } from "../models.ts";
import { changedMessage } from "./changed-message.ts";
import { askedContent, saidContent } from "./content.ts";
import { dialectOf, formatOfProvider, type FormatName } from "./formats.ts";
import { ValidIds } from "./tool-ids.ts";

/** Where `@langchain/google-genai` keeps what only Google can read of its tool calls. */
const GOOGLE_KEY = "__gemini_function_call_thought_signatures__";

interface Speakers {
  readonly messages: readonly BaseMessage[];
  readonly from: FormatName | undefined;
  readonly to: FormatName | undefined;
  readonly original: ModelLike;
  readonly target: ModelLike;
}

/**
 * A conversation as `target` can read it: without what only another provider can. It may hold such, even if `target` is the model that
 * was asked, since others may have answered before. The caller's messages stay as they are; what has to change is copied.
 */
export function messagesFor(messages: BaseMessage[], original: ModelLike, target: ModelLike): BaseMessage[] | Unfit {
  const to = dialectOf(target).format;
  if (to === undefined && target === original) return messages;
  const speakers: Speakers = { messages, from: dialectOf(original).format, to, original, target };
  const ids = to === "Anthropic" ? new ValidIds(messages) : undefined;
  const fitting: BaseMessage[] = [];
  for (const message of messages) {
    const understood = isAI(message) ? said(message, speakers) : asked(message, speakers);
    if (understood instanceof Unfit) return understood;
    fitting.push(ids?.fit(understood) ?? understood);
  }
  return fitting.some((message, at) => message !== messages[at]) ? fitting : messages;
}

function isAI(message: BaseMessage): message is AIMessage {
  return typeOf(message) === "ai";
}

function typeOf(message: BaseMessage): string {
  return message.type ?? message.getType();
}

function asked(message: BaseMessage, { from, to }: Speakers): BaseMessage | Unfit {
  if (from === undefined || from === to) return message;
  const content = askedContent(message.content, from, to);
  if (content instanceof Unfit || content === message.content) return content instanceof Unfit ? content : message;
  return changedMessage(message, { content });
}

function said(message: AIMessage, speakers: Speakers): AIMessage | Unfit {
  const written = formatOf(message, speakers.from);
  if (written === speakers.to && !isKeptElsewhere(message, speakers)) return message;
  if (mustThinkFirst(message, speakers)) return new Unfit("wants its own thoughts before the tool calls of the conversation, which another provider made");
  if (message.additional_kwargs?.audio !== undefined) return new Unfit("cannot hear what was said in the conversation");
  const content = saidContent(message.content, written);
  if (content instanceof Unfit) return content;
  // What else there is one provider notes for itself; OpenAI would look up ids, its own and Anthropic's alike, since both begin with `msg_`.
  return changedMessage(message, { content, additional_kwargs: {}, response_metadata: {}, id: undefined });
}

/** In whose format a message is: its provider's, where it says who that was, else that of whoever was asked. */
function formatOf({ response_metadata: metadata, additional_kwargs: kwargs }: AIMessage, from: FormatName | undefined): FormatName | undefined {
  const { model_provider: provider } = (metadata ?? {}) as { model_provider?: unknown };
  return formatOfProvider(provider) ?? (kwargs && GOOGLE_KEY in kwargs ? "Google" : from);
}

/** Messages of OpenAI's responses API name items that one account keeps: for others they are as strange as another provider's. */
function isKeptElsewhere({ response_metadata: metadata, additional_kwargs: kwargs }: AIMessage, { to, original, target }: Speakers): boolean {
  const namesItems = (metadata as { output?: unknown } | undefined)?.output !== undefined || kwargs?.reasoning !== undefined;
  return to === "OpenAI" && namesItems && !shareAccount(original, target);
}

/** Anthropic's models that think on a budget refuse to go on after tool calls of their own turn that follow no thought. */
function mustThinkFirst(message: AIMessage, { messages, to, target }: Speakers): boolean {
  const { thinking } = target as { thinking?: { type?: unknown } };
  if (to !== "Anthropic" || thinking?.type !== "enabled" || !message.tool_calls?.length) return false;
  return messages.indexOf(message) > messages.findLastIndex((other) => typeOf(other) === "human");
}
