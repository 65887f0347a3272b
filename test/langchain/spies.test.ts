import { AIMessage } from "@langchain/core/messages";
import type { ChatResult } from "@langchain/core/outputs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { withPerf } from "langchain-perf";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { allOf } from "./fixtures/ways.ts";

/** Each test has a class of its own: a spy on a prototype must not be seen elsewhere. */
function freshClass(): typeof FakeChatModel {
  return class SpiedModel extends FakeChatModel {
    override _generate(...args: Parameters<FakeChatModel["_generate"]>): Promise<ChatResult> {
      return super._generate(...args);
    }
  };
}

const canned: ChatResult = { generations: [{ text: "canned", message: new AIMessage("canned") }] };

describe("vi.spyOn on a leaf", () => {
  afterEach(() => vi.restoreAllMocks());

  describe.each(["before", "after"])("%s the model is wrapped", (when) => {
    describe.each(["instance", "prototype"])("on the %s", (where) => {
      it("sees what reaches the model, and nothing that the cache answers", async () => {
        const Model = freshClass();
        const model = new Model();
        const spyOn = () => vi.spyOn(where === "instance" ? model : Model.prototype, "_generate");
        const early = when === "before" ? spyOn() : undefined;
        const fast = withPerf(model);
        if (!early) await fast.invoke("Another question");
        const spy = early ?? spyOn();
        await fast.invoke("Hello");
        await fast.invoke("Hello");
        expect(spy).toHaveBeenCalledTimes(1);
        expect(spy.mock.contexts[0]).toBe(model);
      });

      it("may answer itself, and its answer is cached", async () => {
        const Model = freshClass();
        const model = new Model();
        const mock = () => vi.spyOn(where === "instance" ? model : Model.prototype, "_generate").mockImplementation(async () => canned);
        const early = when === "before" ? mock() : undefined;
        const fast = withPerf(model);
        const spy = early ?? mock();
        expect((await fast.invoke("Hello")).text).toBe("canned");
        expect((await fast.invoke("Hello")).text).toBe("canned");
        expect(spy).toHaveBeenCalledTimes(1);
        expect(model.counts.chat).toBe(0);
      });

      it("can be restored", async () => {
        const Model = freshClass();
        const model = new Model();
        const mock = () => vi.spyOn(where === "instance" ? model : Model.prototype, "_generate").mockImplementation(async () => canned);
        const early = when === "before" ? mock() : undefined;
        const fast = withPerf(model);
        const spy = early ?? mock();
        await fast.invoke("Hello");
        spy.mockRestore();
        await fast.invoke("Another question");
        await fast.invoke("Another question");
        expect(model.counts.chat).toBe(1);
        expect(vi.isMockFunction(model._generate)).toBe(false);
      });
    });
  });

  it("is still a spy when it is asked through the model", async () => {
    const model = new FakeChatModel();
    vi.spyOn(model, "_generate");
    const fast = withPerf(model);
    await fast.invoke("Hello");
    expect(model._generate).toHaveBeenCalledTimes(1);
    expect(fast._generate).toHaveBeenCalledTimes(1);
  });

  it("counts streams and embeddings too", async () => {
    const model = new FakeChatModel();
    const embeddings = new FakeEmbeddings();
    const streams = vi.spyOn(model, "_streamResponseChunks");
    const queries = vi.spyOn(embeddings, "embedQuery");
    const [fast, fastEmbeddings] = [withPerf(model), withPerf(embeddings)];
    for (const _ of [1, 2]) {
      await allOf(fast.stream("Hello"));
      await fastEmbeddings.embedQuery("Hello");
    }
    expect(streams).toHaveBeenCalledTimes(1);
    expect(queries).toHaveBeenCalledTimes(1);
  });

  it("on a method of the wrapped object sees that object's callers", async () => {
    const fast = withPerf(new FakeChatModel());
    const spy = vi.spyOn(fast, "invoke");
    await fast.invoke("Hello");
    await fast.invoke("Hello");
    expect(spy).toHaveBeenCalledTimes(2);
    expect(fast.counts.chat).toBe(1);
  });
});
