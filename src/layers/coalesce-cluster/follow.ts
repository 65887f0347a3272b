import { raceAbort } from "../../core/abort.ts";
import { withDeadline } from "../../core/deadline.ts";
import type { Call, Mode } from "../../core/layer.ts";
import { pause } from "../../core/pause.ts";
import type { AnswerState, FrameSealer, LiveAnswer } from "../../stores/leases.ts";
import { placeOf, splitParts } from "./frames.ts";
import { Wake } from "./wake.ts";

/** How following ended: with the whole answer, because the leader is gone or keeps the answer to itself, or because it can be read no more. */
export type Ending = Exclude<AnswerState, "open"> | "lost";

/** How long a wake-up is waited for that may have been missed: at first it may have come before the subscription. Milliseconds. */
const FIRST_POLL_MS = 25;
const POLL_MS = 250;
/** A read that takes longer has failed. Milliseconds. */
const READ_TIMEOUT_MS = 500;
/** Who has given parts can do nothing else than wait for the rest; he gives up after this time without an answer. Milliseconds. */
const PATIENCE_MS = 5_000;

export interface Following {
  readonly call: Call;
  /** The lease's. */
  readonly key: string;
  readonly live: LiveAnswer;
  readonly sealer: FrameSealer;
  failed(error: unknown): void;
}

/** Snapshots of the parts of another process's answer, as they come, in the leader's mode. */
export async function* follow(following: Following): AsyncGenerator<unknown, Ending> {
  const { call, live } = following;
  const wake = new Wake();
  const end = live.listen(wake.ring);
  const decode = decoderOf(following);
  let have = 0;
  let pollMs = FIRST_POLL_MS;
  try {
    for (;;) {
      const page = await raceAbort(read(following, have), call.signal);
      if (!page) return "lost";
      for (const frame of page.frames) yield* decode(frame, (have += 1));
      if (page.state !== "open") return page.state;
      if (page.frames.length > 0) continue;
      await wake.wait(pollMs, call.signal);
      pollMs = Math.min(POLL_MS, pollMs * 2);
    }
  } catch (error) {
    if (call.signal?.aborted) throw error;
    // Written by another version, or not by us.
    following.failed(error);
    return "lost";
  } finally {
    end();
  }
}

function decoderOf({ call, key, live, sealer }: Following): (frame: Uint8Array, number: number) => Generator<unknown> {
  const decode = call.kind.codec.decoder(live.mode as Mode);
  return function* parts(frame, number) {
    if (frame.length === 0) return;
    for (const part of splitParts(sealer.open(call, placeOf(key, live.token, number), frame))) yield decode(part);
  };
}

/** `undefined` when it can be read no more. */
async function read({ call, live, failed }: Following, have: number): Promise<Awaited<ReturnType<LiveAnswer["read"]>> | undefined> {
  const since = performance.now();
  for (;;) {
    try {
      return await withDeadline(live.read(have), READ_TIMEOUT_MS, "a shared answer was not read in time");
    } catch (error) {
      failed(error);
      if (have === 0 || performance.now() - since > PATIENCE_MS || call.signal?.aborted) return undefined;
      await pause(POLL_MS);
    }
  }
}
