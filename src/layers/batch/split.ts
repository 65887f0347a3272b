import { linkAbort } from "../../core/abort.ts";
import type { Call, Joining, Layer, Next } from "../../core/layer.ts";
import { last, once } from "../../core/parts.ts";

/**
 * Makes a call for more texts than go in one request several calls, so that limits see each request: LangChain's classes make them all at once. Not needed where
 * calls share requests, since that splits them too.
 */
export class Split implements Layer {
  readonly name = "split";

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const { joining } = call.kind;
    const size = joining?.maxBatchSize(call.input);
    if (!joining || size === undefined || !joining.lane(call.input, undefined)) return next(call);
    const texts = joining.texts(call.input);
    return texts.length <= size ? next(call) : once(() => askInParts(call, next, joining, slicesOf(texts, size)));
  }
}

async function askInParts(call: Call, next: Next, joining: Joining, slices: readonly (readonly string[])[]): Promise<unknown> {
  const abort = linkAbort(call.signal);
  const ask = (texts: readonly string[]): Promise<unknown> => last(next(call.with({ signal: abort.signal, input: joining.join(call.input, texts) })));
  try {
    const parts = await Promise.all(slices.map(ask));
    return joining.part(call.input, parts.flat());
  } catch (error) {
    abort.abort(error);
    throw error;
  } finally {
    abort.release();
  }
}

function slicesOf(texts: readonly string[], size: number): string[][] {
  return Array.from({ length: Math.ceil(texts.length / size) }, (_, at) => texts.slice(at * size, (at + 1) * size));
}
