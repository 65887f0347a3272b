import { BaseChatModel, SimpleChatModel } from "@langchain/core/language_models/chat_models";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { Runnable, RunnableLambda, RunnableSequence } from "@langchain/core/runnables";
import { IterableReadableStream } from "@langchain/core/utils/stream";
import { createAgent } from "langchain";
import { describe, expect, it } from "vitest";
import { createPerf, perfOf, withPerf } from "langchain-perf";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { createFakeKit } from "../support/fakes/kit.ts";

/** State and methods that no proxy could reach as `this`. */
class PrivateModel extends SimpleChatModel {
  readonly #name = "private";
  #asked = 0;

  get asked(): number {
    return this.#asked;
  }

  set asked(count: number) {
    this.#asked = count;
  }

  static isOne(value: object): boolean {
    return #name in value;
  }

  override _llmType(): string {
    return "private";
  }

  override async _call(): Promise<string> {
    this.#asked += 1;
    return `${this.#name} ${this.#asked}`;
  }
}

describe("a wrapped object", () => {
  it("reaches private fields by methods, getters and setters", async () => {
    const model = new PrivateModel({});
    const fast = withPerf(model);
    expect((await fast.invoke("Hello")).text).toBe("private 1");
    expect((await fast.invoke("Hello")).text).toBe("private 1");
    expect(fast.asked).toBe(1);
    fast.asked = 7;
    expect(model.asked).toBe(7);
    expect(fast._llmType()).toBe("private");
    expect(PrivateModel.isOne(model)).toBe(true);
  });

  it("is an instance of its class, and Runnables made of it of theirs", () => {
    const model = withPerf(new FakeChatModel());
    expect(model).toBeInstanceOf(FakeChatModel);
    expect(model).toBeInstanceOf(BaseChatModel);
    expect(model).toBeInstanceOf(Runnable);
    expect(model.constructor).toBe(FakeChatModel);
    expect(Object.getPrototypeOf(model)).toBe(FakeChatModel.prototype);
    expect(Runnable.isRunnable(model)).toBe(true);
    expect(model.pipe(new StringOutputParser())).toBeInstanceOf(RunnableSequence);
    expect(withPerf(new FakeEmbeddings())).toBeInstanceOf(FakeEmbeddings);
    expect(model.getName()).toBe("FakeChatModel");
    expect(withPerf(RunnableLambda.from(() => 1)).getName("Sequence")).toBe(RunnableLambda.from(() => 1).getName("Sequence"));
  });

  it("is serialised as its target", () => {
    const chain = ChatPromptTemplate.fromTemplate("{question}").pipe(new FakeChatModel()).pipe(new StringOutputParser());
    expect(JSON.stringify(withPerf(chain))).toBe(JSON.stringify(chain));
    expect(withPerf(chain).toJSON()).toEqual(chain.toJSON());
    expect(Object.keys(withPerf(chain))).toEqual(Object.keys(chain));
    expect(withPerf(chain).getGraph().toJSON()).toEqual(chain.getGraph().toJSON());
  });

  it("gives streams of LangChain's own class", async () => {
    const stream = await withPerf(new FakeChatModel()).stream("Hello");
    expect(stream).toBeInstanceOf(IterableReadableStream);
    await stream.cancel();
  });

  it("shows fields as they are, and passes changes on", () => {
    const model = new FakeChatModel({ model: "one" });
    const fast = withPerf(model);
    expect(fast.model).toBe("one");
    expect(fast.counts).toBe(model.counts);
    (fast as { verbose: boolean }).verbose = true;
    expect(model.verbose).toBe(true);
  });

  it("stays wrapped through everything that is made of it", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    const model = withPerf(kit.chat(), perf);
    const made = [model.withConfig({ tags: ["a"] }), model.bindTools([]), model.pipe((message) => message), model.withRetry(), model.withFallbacks([kit.chat()]), model.pick("content"), model.asTool({ name: "ask", schema: {} as never })];
    for (const runnable of made) expect(perfOf(runnable)).toBe(perf);
    await model.pipe((message) => message.text).pipe((text) => text).invoke("Hello");
    await model.pipe((message) => message.text).invoke("Hello");
    expect(kit.counts.chat).toBe(1);
  });

  it("is the same object each time, for one perf", () => {
    const model = new FakeChatModel();
    const perf = createPerf({});
    expect(withPerf(model, perf)).toBe(withPerf(model, perf));
    expect(perfOf(withPerf(withPerf(model, perf), createPerf({})))).not.toBe(perf);
    expect(perfOf(model)).toBeUndefined();
  });

  it("may be an agent, whose graph is wrapped too", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    const agent = createAgent({ model: kit.chat(), tools: [kit.tool({ name: "weather" })] });
    const fast = withPerf(agent, perf);
    expect(Object.getPrototypeOf(fast)).toBe(Object.getPrototypeOf(agent));
    expect(perfOf(fast.graph)).toBe(perf);
    const question = { messages: [{ role: "user", content: "How is Oslo?" }] };
    const first = await fast.invoke(question);
    const second = await fast.invoke(question);
    expect(second.messages.map(({ text }) => text)).toEqual(first.messages.map(({ text }) => text));
    expect(kit.counts).toMatchObject({ chat: 2, tool: 2 });
  });
});
