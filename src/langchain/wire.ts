import { Document } from "@langchain/core/documents";
import {
  AIMessage, AIMessageChunk, BaseMessage, ChatMessage, ChatMessageChunk, FunctionMessage, FunctionMessageChunk, HumanMessage, HumanMessageChunk, RemoveMessage,
  SystemMessage, SystemMessageChunk, ToolMessage, ToolMessageChunk,
} from "@langchain/core/messages";
import { ChatGenerationChunk, GenerationChunk } from "@langchain/core/outputs";
import { MalformedError, UnencodableError } from "../core/wire/errors.ts";
import type { ValueExtension } from "../core/wire/value.ts";

type Fields = Record<string, unknown>;

/** A class that may travel. */
interface Traveller {
  readonly tag: string;
  readonly prototype: object;
  /** An object of it with every own field that the installed version of LangChain gives one. */
  readonly template: Fields;
  /** The fields in which its objects differ. */
  readonly fields: ReadonlySet<string>;
}

/** Fields of LangChain's bookkeeping, the same for all objects of a class. */
const CONSTANTS: ReadonlySet<string> = new Set(["lc_namespace", "lc_serializable", "lc_direct_tool_output", "type"]);
const KWARGS = "lc_kwargs";
/** A constructor's other name for the content. */
const CONTENT_BLOCKS = "contentBlocks";
/** Fields that may be absent, and are nothing but texts, or nothing but plain objects, where they are there. */
const TEXTS: ReadonlySet<string> = new Set(["id", "name", "status"]);
const RECORDS: ReadonlySet<string> = new Set(["usage_metadata", "metadata", "generationInfo"]);

/**
 * The closed list, by the name on the wire: an object of any other class does not leave the process, nor is one ever made of what came
 * in. Subclasses are not on it, since one shows in `toJSON` and `instanceof` even where it adds nothing.
 */
const TRAVELLERS: readonly Traveller[] = Object.entries({
  AIMessage: new AIMessage(""),
  AIMessageChunk: new AIMessageChunk(""),
  HumanMessage: new HumanMessage(""),
  HumanMessageChunk: new HumanMessageChunk(""),
  SystemMessage: new SystemMessage(""),
  SystemMessageChunk: new SystemMessageChunk(""),
  ToolMessage: new ToolMessage("", ""),
  ToolMessageChunk: new ToolMessageChunk({ content: "", tool_call_id: "" }),
  FunctionMessage: new FunctionMessage({ content: "", name: "" }),
  FunctionMessageChunk: new FunctionMessageChunk({ content: "", name: "" }),
  ChatMessage: new ChatMessage("", ""),
  ChatMessageChunk: new ChatMessageChunk("", ""),
  RemoveMessage: new RemoveMessage({ id: "" }),
  Document: new Document({ pageContent: "" }),
  GenerationChunk: new GenerationChunk({ text: "" }),
  ChatGenerationChunk: new ChatGenerationChunk({ text: "", message: new AIMessageChunk("") }),
}).map(([tag, template]) => ({
  tag,
  prototype: Object.getPrototypeOf(template) as object,
  template: template as unknown as Fields,
  fields: new Set(Object.keys(template).filter((key) => key !== KWARGS && !CONSTANTS.has(key))),
}));
const BY_PROTOTYPE: ReadonlyMap<unknown, Traveller> = new Map(TRAVELLERS.map((traveller) => [traveller.prototype, traveller]));
const BY_TAG: ReadonlyMap<string, Traveller> = new Map(TRAVELLERS.map((traveller) => [traveller.tag, traveller]));

/**
 * LangChain's own messages, documents and chunks. They are made again field by field and not by their constructors, which read some
 * fields out of others; each field is checked, so that what came in is an object that LangChain could have made.
 */
export const langchainValues: ValueExtension = {
  encode(value) {
    const traveller = BY_PROTOTYPE.get(Object.getPrototypeOf(value));
    return traveller && [traveller.tag, fieldsOf(value as Fields, traveller)];
  },

  decode(tag, fields) {
    const traveller = BY_TAG.get(tag);
    if (!traveller) throw new MalformedError(`the tag "${tag.slice(0, 40)}"`);
    if (!isRecord(fields)) throw new MalformedError(`a ${tag} without fields`);
    return objectOf(fields, traveller);
  },
};

function fieldsOf(object: Fields, traveller: Traveller): Fields {
  const { tag, template, fields } = traveller;
  const told: Fields = {};
  for (const key of Object.keys(object)) {
    const field = object[key];
    if (fields.has(key)) {
      if (!fits(key, field, template[key])) throw new UnencodableError(`The field "${key}" of this ${tag}`);
      told[key] = field;
    } else if (key === KWARGS) told[key] = kwargsOf(object, traveller);
    else if (!CONSTANTS.has(key) || String(field) !== String(template[key])) throw new UnencodableError(`The field "${key}" of a ${tag}`);
  }
  return fields.has("message") ? withoutRepeatedText(told) : told;
}

function objectOf(told: Fields, traveller: Traveller): object {
  const { tag, prototype, template, fields } = traveller;
  const given = fields.has("message") ? withRepeatedText(told) : told;
  const isMessage = KWARGS in template;
  for (const key of Object.keys(given)) if (!fields.has(key) && !(isMessage && key === KWARGS)) throw new MalformedError(`the field "${key.slice(0, 40)}" of a ${tag}`);
  const object = Object.assign(Object.create(prototype) as Fields, template);
  for (const key of fields) {
    if (!fits(key, given[key], template[key])) throw new MalformedError(`the field "${key}" of a ${tag}`);
    object[key] = given[key];
  }
  if (isMessage) object[KWARGS] = readKwargs(given[KWARGS], object, traveller);
  return object;
}

/** What a constructor was given, in its order: the name alone of what the object says itself, or the name and the value. */
function kwargsOf(object: Fields, { tag, prototype, fields }: Traveller): unknown[] {
  const kwargs = object[KWARGS] as Fields;
  const told: unknown[] = [];
  for (const key in kwargs) {
    if (isMember(key, prototype)) throw new UnencodableError(`"${key}" in the ${KWARGS} of this ${tag}`);
    const value = kwargs[key];
    const field = key === CONTENT_BLOCKS ? object.content : object[key];
    const isField = key === CONTENT_BLOCKS || fields.has(key) || CONSTANTS.has(key);
    // A text of both is the field's: that is how copies of messages have it.
    told.push(isField && (value === field || typeof value !== "object") ? key : [key, value]);
  }
  return told;
}

function readKwargs(told: unknown, object: Fields, { prototype, fields }: Traveller): Fields {
  if (!Array.isArray(told)) throw new MalformedError(`no list of ${KWARGS}`);
  const kwargs: Fields = {};
  for (const entry of told as unknown[]) {
    if (typeof entry === "string" && (fields.has(entry) || CONSTANTS.has(entry))) kwargs[entry] = object[entry];
    else if (entry === CONTENT_BLOCKS) kwargs[entry] = object.content;
    else if (Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string" && !isMember(entry[0], prototype)) kwargs[entry[0]] = entry[1] as unknown;
    else throw new MalformedError(`a broken entry of ${KWARGS}`);
  }
  return kwargs;
}

/** Whether a name is that of a method, which `toJSON` would take for the data, or `__proto__`. */
function isMember(name: string, prototype: object): boolean {
  return name in prototype && name !== CONTENT_BLOCKS && name !== "text";
}

/** Whether a field holds what LangChain's own code counts on, as far as the template shows it. */
function fits(key: string, value: unknown, sample: unknown): boolean {
  if (key === "content") return typeof value === "string" || Array.isArray(value) || isRecord(value);
  if (typeof sample === "string") return typeof value === "string";
  if (Array.isArray(sample)) return Array.isArray(value) && value.every(isRecord);
  if (isRecord(sample)) return isRecord(value);
  if (sample !== undefined) return BaseMessage.isInstance(value);
  if (TEXTS.has(key)) return typeof value === "string" || value === undefined || value === null;
  return !RECORDS.has(key) || value === undefined || value === null || isRecord(value);
}

/** Whether a value is a plain object. */
export function isRecord(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** A generation's text is its message's content, as a rule: then it is told once. */
export function withoutRepeatedText(generation: Fields): Fields {
  const { text, message } = generation;
  if (typeof text !== "string" || !BaseMessage.isInstance(message) || message.content !== text) return generation;
  const { text: _, ...rest } = generation;
  return rest;
}

/** The generation of which `withoutRepeatedText` made this. */
export function withRepeatedText(generation: Fields): Fields {
  if ("text" in generation || !BaseMessage.isInstance(generation.message)) return generation;
  return { text: generation.message.content, ...generation };
}
