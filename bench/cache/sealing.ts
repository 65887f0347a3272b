import { randomBytes } from "node:crypto";
import { encodeAnswer } from "../../src/core/wire/answer.ts";
import { chatKind } from "../../src/langchain/kinds/chat.ts";
import { createSealer, type EntryMeta, type Sealer } from "../../src/layers/cache/seal.ts";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type Side } from "../harness/paired.ts";
import { quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";
import { generationOf, markdown } from "./generations.ts";

const META: EntryMeta = { kind: "chat", storedAt: 0, freshUntil: Infinity, staleUntil: Infinity, usableUntil: Infinity, namespace: "default" };
const SPACE = { namespace: "default", tenant: undefined };
const KEY = "a key";

const payloadOf = (text: string): Uint8Array => encodeAnswer(chatKind.codec, generationOf(text).answer);

export const measure: Measure = async () => {
  const payload = payloadOf(markdown(2048));
  const encrypted = createSealer({ encryptionKey: randomBytes(32) });
  const result = await paired({ bare: sealing(createSealer(), payload), wrapped: sealing(encrypted, payload), calls: 200 });
  const [small, middle, large] = [compressed(2048), compressed(8192), compressed(32_768)];
  const others = `2 KB ${shown(small.median)} ×, 32 KB ${shown(large.median)} ×; zstd, level 1`;
  return { compressed_ratio: measured(middle, others), encrypt_us: measured(result.addedUs, times(result, "plain", "encrypted")) };
};

function sealing(sealer: Sealer, payload: Uint8Array): Side {
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) sealer.open(KEY, SPACE, sealer.seal(KEY, META, payload));
    },
  };
}

function compressed(length: number): ReturnType<typeof quartiles> {
  const plain = createSealer();
  const compressing = createSealer({ compressAboveBytes: 0 });
  const payloads = Array.from({ length: 9 }, (_, at) => payloadOf(markdown(length, at)));
  return quartiles(payloads.map((payload) => plain.seal(KEY, META, payload).length / compressing.seal(KEY, META, payload).length));
}
