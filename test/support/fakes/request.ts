import { createHash } from "node:crypto";
import { AIMessage, ToolMessage, type BaseMessage } from "@langchain/core/messages";

/** A tool as a model sees it. */
export interface ToolSpec {
  name: string;
  description?: string;
  parameters: Record<string, unknown>;
}

/** What a fake model was asked, as its script sees it. */
export interface FakeRequest {
  messages: BaseMessage[];
  /** Text of the last message. */
  text: string;
  tools: ToolSpec[];
  stop: string[];
  /** Short hash of all that the answer may depend on, so that a wrong cache hit shows. Ids are left out. */
  digest: string;
  /** 1-based, over this model. */
  call: number;
  /** 1-based, over the calls of this model with the same digest. */
  attempt: number;
}

export function textOf(message: BaseMessage | undefined): string {
  if (message === undefined) return "";
  return typeof message.content === "string" ? message.content : JSON.stringify(message.content);
}

export function digestOf(...parts: unknown[]): string {
  // LangChain numbers its extraction tools over the whole process: the number is noise, like an id.
  const json = JSON.stringify(parts).replace(/extract-\d+/g, "extract-n");
  return createHash("sha256").update(json).digest("hex").slice(0, 8);
}

/** A message less its ids, which are random, and less what only tells how it was made. */
export function questionOf(message: BaseMessage): unknown {
  const calls = AIMessage.isInstance(message) ? message.tool_calls?.map(({ name, args }) => ({ name, args })) : undefined;
  const content = Array.isArray(message.content) ? message.content.map((block) => ({ ...block, id: undefined })) : message.content;
  return [message.type, content, message.name, calls?.length ? calls : undefined];
}

/** The bound tools that were not called since the last human message, in the order they were bound. */
export function unansweredTools(messages: BaseMessage[], tools: ToolSpec[]): ToolSpec[] {
  const lastQuestion = messages.findLastIndex((message) => message.type === "human");
  const answered = messages.slice(lastQuestion + 1).filter((message) => ToolMessage.isInstance(message));
  return tools.filter((spec) => !answered.some((message) => message.name === spec.name));
}

/** Arguments that fit a JSON schema: strings repeat the question, numbers come from the digest. */
export function argumentsFor(schema: Record<string, unknown>, question: string, digest: string): unknown {
  if (Array.isArray(schema.enum)) return schema.enum[Number.parseInt(digest, 16) % schema.enum.length];
  switch (schema.type) {
    case "object": {
      const properties = Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>);
      return Object.fromEntries(properties.map(([key, value]) => [key, argumentsFor(value, question, digest)]));
    }
    case "array":
      return [argumentsFor((schema.items ?? { type: "string" }) as Record<string, unknown>, question, digest)];
    case "number":
    case "integer":
      return Number.parseInt(digest.slice(0, 2), 16);
    case "boolean":
      return Number.parseInt(digest, 16) % 2 === 0;
    default:
      return question;
  }
}
