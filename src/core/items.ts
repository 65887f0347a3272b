import type { Engine } from "./engine.ts";
import type { CallFacts } from "./facts.ts";
import type { Backend, Call } from "./layer.ts";
import type { Request } from "./request.ts";

/** How a call that asks for several things at once falls apart, e.g. `embedDocuments` into its texts. */
export interface Items<In, Part> {
  readonly inputs: readonly In[];
  /** Asks for some of them at once; the answers come in the order of the inputs. */
  ask(inputs: readonly In[], call: Call<In, Part>): Promise<readonly Part[]>;
}

/**
 * Answers a call item by item: what the cache has or another call is asking for is not asked again, and what is left goes upstream in
 * one request.
 */
export function itemsBackend<In, Part>(engine: Engine, request: Pick<Request<In, Part>, "kind" | "origin" | "control" | "held" | "isNested" | "released" | "model">, { inputs, ask }: Items<In, Part>): Backend<In, Part> {
  const answer = async (call: Call<In, Part>): Promise<readonly Part[]> => {
    const batch = new ItemBatch<In, Part>(inputs.length, (asked) => ask(asked, call));
    const { kind, origin, control, held, isNested, released, model } = request;
    const facts: CallFacts[] = [];
    const item = async (input: In): Promise<Part> => {
      const place = batch.place();
      try {
        return await engine.invoke({
          kind, input, origin, control, held, isNested, released, model,
          itemOf: (itemFacts: CallFacts) => void facts.push(itemFacts),
          backend: {
            invoke: () => place.ask(input),
            stream: noStream,
            elsewhere: place.decided,
          },
        });
      } finally {
        place.decided();
      }
    };
    const answers = Promise.all(inputs.map(item));
    return answers.finally(() => summarize(call.facts, facts));
  };
  return { invoke: answer as unknown as Backend<In, Part>["invoke"], stream: noStream };
}

function noStream(): never {
  throw new Error("A call of several items has no stream.");
}

/** One item's place in its batch. */
interface Place<In, Part> {
  ask(input: In): Promise<Part>;
  /** The item needs no request of its own, for now. */
  decided(): void;
}

/** Items that need a request wait here until it is clear which of them do. */
class ItemBatch<In, Part> {
  readonly #ask: (inputs: readonly In[]) => Promise<readonly Part[]>;
  #undecided: number;
  #waiting: { input: In; resolve(part: Part): void; reject(error: unknown): void }[] = [];
  #late = false;

  constructor(size: number, ask: (inputs: readonly In[]) => Promise<readonly Part[]>) {
    this.#undecided = size;
    this.#ask = ask;
  }

  place(): Place<In, Part> {
    let open = true;
    const decided = (): void => {
      if (!open) return;
      open = false;
      this.#undecided -= 1;
      // Not at once: those that become known in the same turn go along.
      if (this.#undecided === 0) queueMicrotask(() => void this.#send());
    };
    const ask = (input: In): Promise<Part> =>
      new Promise((resolve, reject) => {
        this.#waiting.push({ input, resolve, reject });
        if (open) decided();
        else if (this.#undecided === 0) this.#sendLate();
      });
    return { ask, decided };
  }

  /** Those that come later, because whom they waited for has failed or to refresh what they once answered, go with all that come in the same turn of the event loop. */
  #sendLate(): void {
    if (this.#late) return;
    this.#late = true;
    setImmediate(() => {
      this.#late = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length === 0) return;
    try {
      const parts = await this.#ask(waiting.map(({ input }) => input));
      if (parts.length !== waiting.length) throw new Error(`${waiting.length} items were asked for and ${parts.length} came back.`);
      for (const [at, { resolve }] of waiting.entries()) resolve(parts[at] as Part);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }
}

/** What happened to the items, as facts of the call that had them. */
function summarize(facts: CallFacts, items: readonly CallFacts[]): void {
  const cached = items.flatMap(({ cache }) => (cache && cache.status !== "bypass" ? [cache] : []));
  const hits = cached.filter(({ status }) => status !== "miss").length;
  const status = cached.length === 0 ? "bypass" : hits === items.length ? "hit" : "miss";
  if (items.some(({ cache }) => cache)) facts.cache = { status, items: { total: items.length, hits } };
  const shared = items.filter(({ coalesced }) => coalesced === "follower");
  if (shared.length > 0 && shared.length + hits === items.length) {
    facts.coalesced = "follower";
    facts.leaderId = shared[0]?.leaderId;
  }
}
