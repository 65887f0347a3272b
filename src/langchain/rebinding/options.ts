import { Unfit } from "../../core/layer.ts";
import { shareAccount, type ModelLike, type ModelOptions } from "../models.ts";
import { dialectOf, type Dialect, type FormatName } from "./formats.ts";
import { CHOICE_OPTIONS, choiceOptions, toolChoiceOf, wantsOneCall } from "./tool-choice.ts";
import { toolsFor } from "./tools.ts";

/** A model of which a call was made, or that is asked in its stead. */
export interface Rebindable extends ModelLike {
  _combineCallOptions?(options: ModelOptions): ModelOptions;
}

interface FormatOptions {
  /** Options that ask for answers of a certain form, and whether they do. */
  readonly forms: Readonly<Record<string, (value: unknown) => boolean>>;
  /** Options that change what is asked for, and have no equal elsewhere. */
  readonly asks: readonly string[];
  /** Options that tune how the answer is found or how it travels: another provider's own settings take their place. */
  readonly tunes: readonly string[];
}

const isThere = (value: unknown): boolean => value !== undefined && value !== null;
const hasFormat = (value: unknown): boolean => isThere((value as { format?: unknown } | undefined | null)?.format);
const isNoText = (value: unknown): boolean => isThere(value) && value !== "text/plain";

/** The options that one format has and others have not. */
const OPTIONS: Readonly<Record<FormatName, FormatOptions>> = {
  OpenAI: {
    forms: { response_format: (value) => isThere(value) && (value as { type?: unknown }).type !== "text", text: hasFormat },
    asks: ["functions", "function_call", "modalities", "audio", "web_search_options"],
    tunes: [
      "seed", "reasoning", "reasoningEffort", "reasoning_effort", "service_tier", "promptCacheKey", "promptCacheRetention", "promptCacheOptions", "verbosity",
      "prediction", "truncation", "include", "stream_options",
    ],
  },
  Anthropic: {
    forms: { outputConfig: hasFormat, output_config: hasFormat, outputFormat: isThere, output_format: isThere },
    asks: ["mcp_servers", "inferenceGeo"],
    tunes: ["betas", "cache_control"],
  },
  Google: {
    forms: { responseSchema: isThere, responseJsonSchema: isThere, responseMimeType: isNoText, response_mime_type: isNoText },
    asks: ["responseModalities", "speechConfig"],
    tunes: ["safetySettings", "thinkingConfig", "thinkingBudget", "thinkingLevel", "labels"],
  },
};
const FORMATS = Object.keys(OPTIONS) as FormatName[];

/** Options that name what one account keeps. */
const KEPT_BY_ACCOUNT = ["previous_response_id", "conversation", "container", "cachedContent"] as const;
/** What rides on requests to one endpoint, e.g. a header with a secret, goes to no other. */
const REQUEST_OPTIONS = ["options", "headers"] as const;

/** What a call asks of `original`, as `target` is to be asked for it, or why it cannot be. */
export function optionsFor(options: ModelOptions, original: Rebindable, target: Rebindable): ModelOptions | Unfit {
  const asked = original._combineCallOptions?.(options) ?? options;
  const isElsewhere = !shareAccount(original, target);
  const kept = isElsewhere ? KEPT_BY_ACCOUNT.find((name) => isThere(asked[name])) : undefined;
  if (kept) return new Unfit(`does not have what the option "${kept}" names: another account keeps it`);
  const fitting = fittingOptions(isElsewhere ? without(asked, REQUEST_OPTIONS) : asked, original, target);
  return fitting instanceof Unfit ? fitting : (target._combineCallOptions?.(fitting) ?? fitting);
}

function fittingOptions(asked: ModelOptions, original: Rebindable, target: Rebindable): ModelOptions | Unfit {
  const fitting = original.constructor === target.constructor ? asked : inFormatOf(target, asked, original);
  if (fitting instanceof Unfit) return fitting;
  return choiceUnfit(fitting, original, target) ?? withStop(fitting, original, target);
}

function inFormatOf(target: Rebindable, asked: ModelOptions, original: Rebindable): ModelOptions | Unfit {
  const from = dialectOf(original);
  const to = dialectOf(target);
  if (isBoundToParser(asked) && from.format === "Anthropic" && to.format !== "Anthropic") {
    return new Unfit("answers in tool calls that Anthropic's parser of structured output does not find");
  }
  const unfit = formUnfit(asked, from, to) ?? askUnfit(asked, from, to);
  if (unfit) return unfit;
  if (to.format === undefined) return asked.tools === undefined || (asked.tools as object[]).length === 0 ? asked : new Unfit(`takes tools in a format that is not known: it is a ${to.provider}`);
  return withToolsFor(without(asked, foreignTo(to.format)), from, to as Dialect & { format: FormatName });
}

function foreignTo(format: FormatName): string[] {
  return FORMATS.filter((other) => other !== format).flatMap((other) => [...Object.keys(OPTIONS[other].forms), ...OPTIONS[other].asks, ...OPTIONS[other].tunes]);
}

/** LangChain's `withStructuredOutput` for Anthropic reads the blocks of an answer's content, which others do not write. */
function isBoundToParser({ ls_structured_output_format: format }: ModelOptions): boolean {
  return (format as { kwargs?: { method?: unknown } } | undefined)?.kwargs?.method === "functionCalling";
}

/** Whoever wants a certain form may say so in several formats at once, as LangChain's agents do: one of them must be the target's. */
function formUnfit(asked: ModelOptions, from: Dialect, to: Dialect): Unfit | undefined {
  const wanted = FORMATS.filter((format) => Object.entries(OPTIONS[format].forms).some(([name, isAsked]) => isAsked(asked[name])));
  const isMeant = from.format === undefined ? wanted.length > 0 : wanted.includes(from.format);
  if (!isMeant || (to.format !== undefined && wanted.includes(to.format))) return undefined;
  return new Unfit(`cannot take the response format of ${from.format ?? wanted.join(" and ")}`);
}

/** An option means something to its own format alone; of a model of which nothing is known it may be any. */
function askUnfit(asked: ModelOptions, from: Dialect, to: Dialect): Unfit | undefined {
  for (const format of FORMATS) {
    if (format === to.format || (from.format !== undefined && format !== from.format)) continue;
    const option = OPTIONS[format].asks.find((name) => isThere(asked[name]));
    if (option) return new Unfit(`cannot take the option "${option}" of ${format}`);
  }
  return undefined;
}

function withToolsFor(asked: ModelOptions, from: Dialect, to: Dialect & { format: FormatName }): ModelOptions | Unfit {
  const { tools } = asked;
  if (!Array.isArray(tools) || tools.length === 0) return asked;
  const converted = toolsFor(tools as object[], from, to);
  if (converted instanceof Unfit) return converted;
  const choice = toolChoiceOf(asked);
  if (choice instanceof Unfit) return from.provider === to.provider ? { ...asked, tools: converted } : choice;
  if (from.format === to.format) return { ...asked, tools: converted };
  const told = choiceOptions(choice, wantsOneCall(asked), to.format);
  return told instanceof Unfit ? told : { ...without(asked, CHOICE_OPTIONS), ...told, tools: converted };
}

/** What LangChain's classes, or their providers, make of a choice of tools in certain states of the model. */
function choiceUnfit(fitting: ModelOptions, original: Rebindable, target: Rebindable): Unfit | undefined {
  const choice = toolChoiceOf(fitting);
  if (choice === undefined || choice === "auto" || choice instanceof Unfit || !Array.isArray(fitting.tools)) return undefined;
  if (choice !== "none" && thinks(target) && !thinks(original)) return new Unfit("thinks before it answers, and then cannot be made to call a tool");
  // Its class sends a name to the responses API, and none of the words.
  if (typeof choice === "string" && usesResponses(target, fitting) && !usesResponses(original, fitting)) return new Unfit(`cannot be told the tool choice "${choice}" by the responses API`);
  return undefined;
}

function usesResponses(model: Rebindable, options: ModelOptions): boolean {
  return model._useResponsesApi?.(options) === true;
}

function thinks(target: Rebindable): boolean {
  const { thinking } = target as { thinking?: { type?: unknown } };
  return dialectOf(target).format === "Anthropic" && (thinking?.type === "enabled" || thinking?.type === "adaptive");
}

/** Where answers have to stop is an option of most classes, though not of all, and not by the same name. */
function withStop(fitting: ModelOptions, original: Rebindable, target: Rebindable): ModelOptions | Unfit {
  const stop = fitting.stop ?? (dialectOf(original).format === "Google" ? fitting.stopSequences : undefined);
  if (!Array.isArray(stop) || stop.length === 0 || ignoresStop(original, fitting)) return fitting;
  if (ignoresStop(target, fitting)) return new Unfit("cannot be told by a call where to stop");
  const { format } = dialectOf(target);
  if (format === "Anthropic" && isThere((target as { stopSequences?: unknown }).stopSequences)) return new Unfit("stops at sequences of its own, and then takes none of a call");
  return format === "Google" ? { ...without(fitting, ["stop"]), stopSequences: stop } : { ...without(fitting, ["stopSequences"]), stop };
}

function ignoresStop(model: Rebindable, options: ModelOptions): boolean {
  return model._llmType() === "googlegenerativeai" || usesResponses(model, options);
}

function without(options: ModelOptions, names: readonly string[]): ModelOptions {
  if (!names.some((name) => name in options)) return options;
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name)));
}
