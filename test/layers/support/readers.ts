import type { AIMessageChunk } from "@langchain/core/messages";
import type { ChatGenerationChunk } from "@langchain/core/outputs";
import { Faucet } from "./gate.ts";
import { chunk, ScriptedChat, textChunks } from "./scripted-chat.ts";

/** A model whose every stream flows from a faucet of its own. */
export function faucets(): { model: ScriptedChat; taps: Faucet<ChatGenerationChunk>[] } {
  const taps: Faucet<ChatGenerationChunk>[] = [];
  const model = new ScriptedChat({
    stream() {
      const tap = new Faucet<ChatGenerationChunk>();
      taps.push(tap);
      return tap;
    },
  });
  return { model, taps };
}

/** A reader of a stream: what it got so far, and how it ended. */
export class Reading {
  readonly texts: string[] = [];
  error: unknown;
  ended = false;
  readonly done: Promise<void>;

  constructor(stream: Promise<AsyncIterable<AIMessageChunk>>) {
    this.done = this.#read(stream);
  }

  async #read(stream: Promise<AsyncIterable<AIMessageChunk>>): Promise<void> {
    try {
      for await (const part of await stream) this.texts.push(part.text);
      this.ended = true;
    } catch (error) {
      this.error = error;
    }
  }
}

export const words = (...texts: string[]): ChatGenerationChunk[] => texts.map((content) => chunk({ content }));
/** A last chunk. */
export const [last] = textChunks(["!"]) as [ChatGenerationChunk];
