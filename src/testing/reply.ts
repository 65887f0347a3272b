/** One piece of a response's body. A timed frame waits for its turn; the others go with the next timed one. */
export interface Frame {
  data: string;
  timed: boolean;
}

/** What a request is told about itself while it is being answered. */
export interface ReplyContext {
  /** Unique among all answers of this process. */
  id: string;
  /** Seconds since the epoch. */
  createdAt: number;
  digest: string;
  cachedTokens: number;
  digestInText: boolean;
}

/** An answer, ready to be sent whole or in frames. */
export interface Reply {
  completionTokens: number;
  whole(): unknown;
  frames(): Frame[];
}

/** What an API format made of one request's body. */
export interface Job {
  model: string;
  stream: boolean;
  promptTokens: number;
  /** The prompt as one text, in the order a provider would read it: what prompt caching compares. */
  prefix: string;
  answer(context: ReplyContext): Reply;
}

/** The errors that a format puts in words. */
export interface ApiError {
  status: number;
  message: string;
  type: string;
  code?: string | null;
  param?: string | null;
}

/** One of the APIs that the simulator speaks. */
export interface ApiFormat {
  /** Reads the body; throws `BadRequest`. */
  read(body: Record<string, unknown>): Job;
  errorBody(error: ApiError): unknown;
  /** An error in the middle of a stream, as one frame's data. */
  errorFrame(error: ApiError): string;
  /** How many frames at the end say that the stream is over. */
  closingFrames: number;
  rateLimitStyle: "openai" | "anthropic";
}

/** A request that the provider cannot take. */
export class BadRequest extends Error {
  readonly status: number;
  readonly param: string | null;

  constructor(message: string, param: string | null = null, status = 400) {
    super(message);
    this.name = "BadRequest";
    this.param = param;
    this.status = status;
  }
}

/** A server-sent event. */
export function sse(data: string, event?: string): string {
  return event === undefined ? `data: ${data}\n\n` : `event: ${event}\ndata: ${data}\n\n`;
}
