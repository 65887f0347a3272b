import { redisBoard, RedisConnection, type RedisSource } from "./stores/redis.ts";
import type { SharedHealth } from "./stores/health.ts";

interface OpenBoard {
  readonly board: SharedHealth;
  readonly connection: RedisConnection;
}

/** Where a perf's pools meet those of other processes: one board for each Redis. */
export class SharedBoards {
  readonly #name: string;
  readonly #open = new Map<RedisSource, OpenBoard>();

  /** @param name of the perf: processes with the same one know of each other */
  constructor(name: string) {
    this.#name = name;
  }

  of(source: RedisSource | undefined): SharedHealth | undefined {
    if (source === undefined) return undefined;
    let open = this.#open.get(source);
    if (!open) {
      const connection = new RedisConnection(source, "routing.shared");
      this.#open.set(source, (open = { connection, board: redisBoard(connection, this.#name) }));
    }
    return open.board;
  }

  all(): SharedHealth[] {
    return [...this.#open.values()].map(({ board }) => board);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ board, connection }) => board.close().finally(() => connection.close())));
  }
}
