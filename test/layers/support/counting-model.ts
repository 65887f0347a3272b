import { setTimeout as delay } from "node:timers/promises";
import { ScriptedChat, textChunks, textResult } from "./scripted-chat.ts";

/** How many calls a model works on at once. */
export interface Load {
  active: number;
  /** The most there have been. */
  peak: number;
}

/** A chat model that takes a few milliseconds for each part, and knows how many calls it works on. */
export function countingChat({ delayMs = 5, model = "counting-1" }: { delayMs?: number; model?: string } = {}): { model: ScriptedChat; load: Load } {
  const load: Load = { active: 0, peak: 0 };
  const enter = (): void => {
    load.active += 1;
    load.peak = Math.max(load.peak, load.active);
  };
  const chat = new ScriptedChat({
    model,
    async whole(_call, nth) {
      enter();
      try {
        await delay(delayMs);
        return textResult(`answer ${nth}`);
      } finally {
        load.active -= 1;
      }
    },
    async *stream() {
      enter();
      try {
        for (const part of textChunks(["one ", "two ", "three"])) {
          await delay(delayMs);
          yield part;
        }
      } finally {
        load.active -= 1;
      }
    },
  });
  return { model: chat, load };
}
