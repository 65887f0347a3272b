import type { BaseMessage } from "@langchain/core/messages";

/** A message of the same class with other fields; the message itself stays as it is. */
export function changedMessage<M extends BaseMessage>(message: M, fields: object): M {
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as M, message, fields, { lc_kwargs: { ...message.lc_kwargs, ...fields } });
}
