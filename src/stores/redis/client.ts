/** What Redis takes as an argument. */
export type RedisArgument = string | number | Buffer;

/** What is used of a client of ioredis 5 or 6: `Redis` (also with Sentinel) and `Cluster` fit. */
export interface RedisLike {
  /** `true` for a `Cluster`. */
  readonly isCluster: boolean;
  readonly options: { readonly keyPrefix?: string | undefined; readonly tls?: object | undefined };
  /** The socket; a `Cluster` has none of its own. */
  readonly stream?: RedisSocket;
  call(command: string, ...args: RedisArgument[]): Promise<unknown>;
  callBuffer(command: string, ...args: RedisArgument[]): Promise<unknown>;
  connect(): Promise<void>;
  disconnect(): void;
  duplicate(override?: object): RedisLike;
  /** The connections of a `Cluster`, one for each node. */
  nodes?(role: "master"): RedisLike[];
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** Whether Redis has answered, and does not do what it was asked for. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

export interface RedisSocket {
  unref(): unknown;
  destroy(): unknown;
}

/**
 * How every connection of our own is configured: a command on a broken connection fails at once, and only `Link` reconnects, because ioredis does so
 * with timers that keep the process alive.
 */
export const OUR_CONNECTION = {
  lazyConnect: true,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  readOnly: false,
  retryStrategy: (): null => null,
  sentinelRetryStrategy: (): null => null,
  sentinelCommandTimeout: 1000,
} as const;

/**
 * For connections from a URL, where no wish of the user has to be respected, milliseconds. The socket's timeout runs while an answer is awaited: it gives up a
 * server that says nothing, and until then it keeps the process alive, which the socket itself does not.
 */
export const OUR_TIMEOUTS = { connectTimeout: 1000, socketTimeout: 2000 } as const;
