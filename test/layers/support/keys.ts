import type { BaseMessage } from "@langchain/core/messages";
import { digest, readIdentity } from "../../../src/core/key.ts";
import { chatKind } from "../../../src/langchain/kinds/chat.ts";
import type { ChatInput } from "../../../src/langchain/kinds/model-inputs.ts";

/** The identity of one chat call as its leaf gets it; a model's bound options are its `defaultOptions`. */
export function chatIdentity(model: object, messages: BaseMessage[], options: object = {}): string | undefined {
  const bound = (model as { defaultOptions?: object }).defaultOptions;
  return chatKind.identity({ model, messages, options: { ...bound, ...options }, runManager: undefined } as unknown as ChatInput, {});
}

export function chatKey(model: object, messages: BaseMessage[], options: object = {}): string | undefined {
  const identity = chatIdentity(model, messages, options);
  return identity === undefined ? undefined : digest(identity);
}

export function fieldsOf(identity: string | undefined): Record<string, string> {
  return Object.fromEntries(readIdentity(identity ?? ""));
}

/** Which of the named keys are equal, as pairs of names: none, when all differ. */
export function collisions(keys: Record<string, string | undefined>): string[] {
  const names = Object.keys(keys);
  const equal: string[] = [];
  for (const [at, name] of names.entries()) {
    for (const other of names.slice(at + 1)) if (keys[name] === keys[other]) equal.push(`${name} = ${other}`);
  }
  return equal;
}
