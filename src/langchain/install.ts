import Module from "node:module";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { BaseLLM } from "@langchain/core/language_models/llms";
import { BaseRetriever } from "@langchain/core/retrievers";
import { RunnableBinding, RunnableLambda, RunnableRetry, RunnableWithFallbacks } from "@langchain/core/runnables";
import { StructuredTool } from "@langchain/core/tools";
import { AsyncCaller } from "@langchain/core/utils/async_caller";
import { IterableReadableStream } from "@langchain/core/utils/stream";
import { VectorStore } from "@langchain/core/vectorstores";
import { OptionError } from "../core/errors.ts";
import { ensureLeaves, kindOf, patchCore } from "./patches.ts";
import { prototypesOf } from "./prototypes.ts";
import { readSwitch } from "./scope.ts";

let installed = false;
let seenModules = 0;

/** Patches the copies of LangChain's core that are loaded: this package's own, and CommonJS ones that somebody required. */
export function install(): void {
  readSwitch();
  if (!installed) {
    installed = true;
    patchCore({ BaseChatModel, BaseLLM, BaseRetriever, RunnableBinding, RunnableLambda, RunnableRetry, RunnableWithFallbacks, StructuredTool, AsyncCaller, IterableReadableStream, VectorStore });
  }
  const { _cache: cache = {} } = Module as unknown as { _cache?: Record<string, { exports?: Record<string, unknown> }> };
  const files = Object.keys(cache);
  if (files.length === seenModules) return;
  seenModules = files.length;
  for (const file of files) {
    if (/[\\/]@langchain[\\/]core[\\/]dist[\\/].*\.cjs$/.test(file)) patchCore(cache[file]?.exports ?? {});
  }
}

const CORE_CLASSES = ["BaseChatModel", "BaseLLM", "BaseRetriever", "VectorStore", "StructuredTool", "RunnableLambda", "RunnableRetry", "RunnableBinding", "RunnableWithFallbacks"];
const MAX_OBJECTS = 2_000;

/** Sees to everything that can be reached from `root`: its classes, and the copies of core that they come from. */
export function prepare(root: object): void {
  install();
  const seen = new Set<object>([root]);
  for (const object of seen) {
    if (seen.size > MAX_OBJECTS) return;
    if (kindOf(object) !== undefined) ensureLeaves(object);
    patchAncestors(object);
    for (const value of Object.values(object)) if (isPart(value)) seen.add(value);
  }
}

function patchAncestors(object: object): void {
  for (const { constructor } of prototypesOf(object)) {
    if (CORE_CLASSES.includes(constructor.name)) patchCore({ [constructor.name]: constructor });
  }
}

function isPart(value: unknown): value is object {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  if (Array.isArray(value)) return value.length < 200;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || "lc_namespace" in value || kindOf(value) !== undefined || "nodes" in value;
}

/** Makes the calls of classes visible that are reached only as bare objects in closures. See `instrument` of the public API. */
export function instrument(...classes: (abstract new (...args: never[]) => object)[]): void {
  install();
  for (const made of classes) {
    const prototype = typeof made === "function" ? (made.prototype as object | undefined) : undefined;
    const probe = prototype && (Object.create(prototype) as object);
    if (!probe || (kindOf(probe) === undefined && !("_call" in probe))) throw new OptionError("instrument", "classes of models, embeddings, retrievers, vector stores or tools", made);
    ensureLeaves(probe);
  }
}
