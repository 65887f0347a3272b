import type { Backend, Call, Mode } from "../core/layer.ts";
import type { Request } from "../core/request.ts";
import type { LLMPart } from "./kinds/codecs.ts";
import type { ChatPart } from "./kinds/model-inputs.ts";
import { inLeaf, leafIterator } from "./leaf-work.ts";
import type { LLMRunManager, ModelLike, ModelOptions } from "./models.ts";
import type { Scope } from "./scope.ts";

type Method = (this: object, ...args: unknown[]) => unknown;

export type ModelPart = ChatPart | LLMPart;

/** What calls of chat models and LLMs have in common. */
export interface ModelInput {
  readonly model: object & ModelLike;
  readonly options: ModelOptions;
  readonly runManager: LLMRunManager | undefined;
}

/** What an adapter makes of a leaf's arguments. */
export interface ModelQuestion {
  readonly kind: Request<ModelInput, ModelPart>["kind"];
  readonly input: ModelInput;
  /** The first argument of the method for this mode. */
  asked(input: ModelInput, mode: Mode): unknown;
}

/** A leaf as it was called. */
export interface CalledLeaf {
  readonly question: ModelQuestion;
  readonly mode: Mode;
  /** The method that was called. */
  readonly original: Method;
  readonly scope: Scope;
}

/** By which method a model is asked for an answer in this mode. */
const METHODS: Readonly<Record<Mode, string>> = { invoke: "_generate", stream: "_streamResponseChunks", events: "_streamChatModelEvents" };

/** Asks a model: the one whose run it is, or another in its stead. What counts is the call at that time: a whole answer may be wanted in parts, too. */
export class ModelBackend implements Backend<ModelInput, ModelPart> {
  readonly #leaf: CalledLeaf;
  readonly #runManager: LLMRunManager | undefined;

  constructor(leaf: CalledLeaf, runManager: LLMRunManager | undefined) {
    this.#leaf = leaf;
    this.#runManager = runManager;
  }

  invoke(call: Call<ModelInput, ModelPart>): Promise<ModelPart> {
    // Where another deployment may have to answer instead, what one says is told when it is whole.
    const manager = isOneOfSeveral(call) ? this.#silent : this.#runManager;
    return inLeaf(this.#leaf.scope, call, () => this.#ask(call, manager)) as Promise<ModelPart>;
  }

  stream(call: Call<ModelInput, ModelPart>): AsyncIterator<ModelPart> {
    return leafIterator(this.#leaf.scope, call, () => this.#ask(call, this.#silent) as AsyncIterator<ModelPart>);
  }

  get #silent(): LLMRunManager | undefined {
    return this.#runManager && withoutTokens(this.#runManager);
  }

  #ask({ input, mode, signal }: Call<ModelInput, ModelPart>, manager: LLMRunManager | undefined): unknown {
    const { question, mode: wanted, original } = this.#leaf;
    const { model, options } = input;
    const leaf = model === question.input.model && mode === wanted ? original : ((model as unknown as Record<string, Method>)[METHODS[mode]] as Method);
    return leaf.call(model, question.asked(input, mode), withSignal(options, signal), manager);
  }
}

/** Whether another deployment may answer in the stead of the one that is asked. */
export function isOneOfSeveral({ attempt }: Pick<Call, "attempt">): boolean {
  return attempt?.deployment !== undefined;
}

const silence = async (): Promise<void> => {};

function withoutTokens(runManager: LLMRunManager): LLMRunManager {
  return Object.create(runManager, { handleLLMNewToken: { value: silence } }) as LLMRunManager;
}

function withSignal(options: ModelOptions, signal: AbortSignal | undefined): ModelOptions {
  return signal === undefined || options.signal === signal ? options : { ...options, signal };
}
