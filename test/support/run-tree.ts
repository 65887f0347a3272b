import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { Serialized } from "@langchain/core/load/serializable";

export type RunType = "chat" | "llm" | "chain" | "retriever" | "tool";

/** One run as a user's callback handler sees it. */
export interface RunNode {
  name: string;
  type: RunType;
  tags: string[];
  metadata: Record<string, unknown>;
  /** The texts of the token callbacks, in order. */
  tokens: string[];
  /** How often the run ended well, and the messages of the errors it ended with: a sound run has one of the two, once. */
  ends: number;
  errors: string[];
  /** In the order of their starts. */
  children: RunNode[];
}

/** Records the runs of whatever it is given to in `config.callbacks`. LangChain waits for it, so the order is the true one. */
export class RunTreeRecorder extends BaseCallbackHandler {
  override readonly name = "RunTreeRecorder";
  /** The runs without a parent, in the order of their starts. */
  readonly roots: RunNode[] = [];
  /** Ids of runs that a callback named before they started: none in a sound program. */
  readonly strays: string[] = [];
  readonly #nodes = new Map<string, RunNode>();

  constructor() {
    super({ _awaitHandler: true });
  }

  /** How many runs of the type were started. */
  count(type: RunType): number {
    const within = (nodes: RunNode[]): number =>
      nodes.reduce((sum, node) => sum + (node.type === type ? 1 : 0) + within(node.children), 0);
    return within(this.roots);
  }

  override handleChatModelStart(...[run, , id, parent, , tags, metadata, name]: Parameters<LLMStart>): void {
    this.#start("chat", id, parent, name ?? classOf(run), tags, metadata);
  }

  override handleLLMStart(...[run, , id, parent, , tags, metadata, name]: Parameters<LLMStart>): void {
    this.#start("llm", id, parent, name ?? classOf(run), tags, metadata);
  }

  // The published type of this method orders its arguments differently from what the manager passes.
  override handleChainStart(...args: unknown[]): void {
    const [run, , id, parent, tags, metadata, , name] = args as Parameters<ChainStart>;
    this.#start("chain", id, parent, name ?? classOf(run), tags, metadata);
  }

  override handleToolStart(...[run, , id, parent, tags, metadata, name]: Parameters<PlainStart>): void {
    this.#start("tool", id, parent, name ?? classOf(run), tags, metadata);
  }

  override handleRetrieverStart(...[run, , id, parent, tags, metadata, name]: Parameters<PlainStart>): void {
    this.#start("retriever", id, parent, name ?? classOf(run), tags, metadata);
  }

  override handleLLMNewToken(token: string, _indices: unknown, id: string): void {
    this.#with(id, (node) => node.tokens.push(token));
  }

  override handleLLMEnd(_output: unknown, id: string): void {
    this.#end(id);
  }

  override handleChainEnd(_output: unknown, id: string): void {
    this.#end(id);
  }

  override handleToolEnd(_output: unknown, id: string): void {
    this.#end(id);
  }

  override handleRetrieverEnd(_documents: unknown, id: string): void {
    this.#end(id);
  }

  override handleLLMError(error: unknown, id: string): void {
    this.#end(id, error);
  }

  override handleChainError(error: unknown, id: string): void {
    this.#end(id, error);
  }

  override handleToolError(error: unknown, id: string): void {
    this.#end(id, error);
  }

  override handleRetrieverError(error: unknown, id: string): void {
    this.#end(id, error);
  }

  #start(type: RunType, id: string, parentId: string | undefined, name: string, tags?: string[], metadata?: object): void {
    const node: RunNode = { name, type, tags: tags ?? [], metadata: { ...metadata }, tokens: [], ends: 0, errors: [], children: [] };
    // RunnableBranch streams its branch under its own run's id: such a run is its own parent.
    const parent = parentId === undefined ? undefined : this.#nodes.get(parentId);
    (parent?.children ?? this.roots).push(node);
    this.#nodes.set(id, node);
  }

  #end(id: string, ...errors: unknown[]): void {
    this.#with(id, (node) => {
      if (errors.length === 0) node.ends += 1;
      node.errors.push(...errors.map(String));
    });
  }

  #with(id: string, act: (node: RunNode) => void): void {
    const node = this.#nodes.get(id);
    if (node === undefined) this.strays.push(id);
    else act(node);
  }
}

type LLMStart = (
  run: Serialized, input: unknown, id: string, parentId?: string, extra?: object, tags?: string[], metadata?: object, name?: string,
) => void;
type ChainStart = (
  run: Serialized, input: unknown, id: string, parentId?: string, tags?: string[], metadata?: object, runType?: string, name?: string,
) => void;
type PlainStart = (
  run: Serialized, input: unknown, id: string, parentId?: string, tags?: string[], metadata?: object, name?: string,
) => void;

function classOf(run: Serialized): string {
  return run.id.at(-1) ?? "unknown";
}
