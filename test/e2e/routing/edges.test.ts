import type { BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models";
import { SimpleChatModel } from "@langchain/core/language_models/chat_models";
import type { BaseMessage } from "@langchain/core/messages";
import { StreamInterruptedError, withPerf } from "langchain-perf";
import { expect, it } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { ScriptedChat, textChunks, textResult } from "../../layers/support/scripted-chat.ts";
import { APIS, askedOf, faultyAndSound, listeningPerf, simulator } from "./providers.ts";

/** A model without streams, whose name nobody knows. */
class WholeChat extends SimpleChatModel<BaseChatModelCallOptions> {
  readonly answer: () => string;
  asked = 0;

  constructor(answer: () => string) {
    super({});
    this.answer = answer;
  }

  override _llmType(): string {
    return "whole";
  }

  override async _call(_messages: BaseMessage[]): Promise<string> {
    this.asked += 1;
    return this.answer();
  }
}

const broken = (): never => {
  throw Object.assign(new Error("broken"), { status: 503 });
};

it("stallMs alone guards a stream whose first part is empty", async () => {
  const { faulty, sound } = await faultyAndSound("stall=0");
  const deployments = [{ id: "faulty", model: APIS.OpenAI(faulty) }, { id: "sound", model: APIS.OpenAI(sound), priority: 1 }];
  const { perf, calls } = listeningPerf({ routing: { deployments }, timeouts: { stallMs: 200 } });
  let text = "";
  for await (const chunk of await withPerf(APIS.OpenAI(faulty), perf).stream("x")) text += chunk.text;
  expect([text.split(" ").length, askedOf(calls[0]!)]).toEqual([8, ["faulty timeout", "sound"]]);
});

it("a deployment that cannot stream gives its whole answer as a stream", async () => {
  const { perf } = listeningPerf({ routing: { deployments: [{ id: "whole", model: new WholeChat(() => "all at once") }] } });
  const fast = withPerf(new ScriptedChat({ stream: () => textChunks(["never", " asked"]) }), perf);
  let text = "";
  for await (const chunk of await fast.stream("x")) text += chunk.text;
  expect([text, perf.deployments()[0]?.errorRate]).toEqual(["all at once", 0]);
});

it("models of which nobody knows the names are not taken for one another by the cache", async () => {
  let isDown = true;
  const own = new WholeChat(() => (isDown ? broken() : "own answer"));
  const deployments = [{ id: "own", model: own }, { id: "other", model: new WholeChat(() => "other's answer"), priority: 1 }];
  const { perf } = listeningPerf({ cache: true, routing: { deployments } });
  const fast = withPerf(own, perf);
  expect((await fast.invoke("x")).text).toBe("other's answer");
  isDown = false;
  expect((await fast.invoke("x")).text).toBe("own answer");
  expect([(await fast.invoke("x")).text, own.asked]).toEqual(["own answer", 2]);
});

it("nobody is asked besides the first of a cascade, so that it is that one's answer which is judged", async () => {
  const [small, large] = [await simulator({ faults: ["slow=100"] }), await simulator()];
  const judged: string[] = [];
  const { perf, calls } = listeningPerf({
    routing: {
      deployments: [{ id: "small", model: APIS.OpenAI(small, "chunks-3") }, { id: "large", model: APIS.OpenAI(large) }],
      hedge: { afterMs: 5, budget: 1 },
      cascade: { first: "small", accept: (answer) => (judged.push((answer as { text: string }).text), false) },
    },
  });
  await withPerf(APIS.OpenAI(large), perf).invoke("x");
  await withPerf(APIS.OpenAI(large), perf).invoke("y");
  expect([calls.map(askedOf), judged]).toEqual([[["small not-accepted", "large"], ["small not-accepted", "large"]], ["word0 word1 word2", "word0 word1 word2"]]);
});

it("a model that survives its own failure is asked once", async () => {
  class Surviving extends ScriptedChat {
    override async _generate() {
      await this.caller.call(() => Promise.reject(Object.assign(new Error("first way"), { status: 503 }))).catch(() => {});
      return textResult("second way");
    }
  }
  const { perf, calls } = listeningPerf({ routing: { deployments: [{ id: "surviving", model: new Surviving() }] } });
  expect((await withPerf(new ScriptedChat(), perf).invoke("x")).text).toBe("second way");
  expect(calls.map(askedOf)).toEqual([["surviving"]]);
});

it("every deployment is asked before a call fails, those that were added, too", async () => {
  const { perf, calls } = listeningPerf({ routing: { strategy: (deployments) => deployments[0]!.id, deployments: [{ id: "0", model: new WholeChat(broken) }] }, retry: { baseDelayMs: 0 } });
  for (const id of ["1", "2", "3", "4"]) perf.addDeployment({ id, model: new WholeChat(broken) });
  perf.addDeployment({ id: "5", model: new WholeChat(() => "at last") });
  expect((await withPerf(new ScriptedChat(), perf).invoke("x")).text).toBe("at last");
  expect(askedOf(calls[0]!).at(-1)).toBe("5");
});

it("a stream that is cut says what there was of it", async () => {
  const { faulty } = await faultyAndSound("cut=3");
  const { perf } = listeningPerf({ routing: { deployments: [{ id: "faulty", model: APIS.OpenAI(faulty) }] } });
  const read = async (): Promise<void> => {
    for await (const _ of await withPerf(APIS.OpenAI(faulty), perf).stream("x"));
  };
  const error = await errorOf(read());
  expect(error).toBeInstanceOf(StreamInterruptedError);
  expect((error as StreamInterruptedError).partial).toMatchObject({ content: "word0 word1 word2" });
});
