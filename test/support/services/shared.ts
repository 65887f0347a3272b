import { startMariadb } from "./mariadb.ts";
import { startMemcached } from "./memcached.ts";
import { startPostgres } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import type { Server } from "./server.ts";

/** A server that others may use at the same time: do not kill, freeze or empty it, and keep to keys and tables of your own. */
export type SharedServer = Pick<Server, "url" | "stop">;

/** The server of `REDIS_URL`, else one of this process. */
export const sharedRedis = shared("REDIS_URL", startRedis);
/** The server of `POSTGRES_URL`, else one of this process. */
export const sharedPostgres = shared("POSTGRES_URL", startPostgres);
/** The server of `MEMCACHED_URL`, `host:port` with or without `memcached://`, else one of this process. */
export const sharedMemcached = shared("MEMCACHED_URL", startMemcached);
/** The server of `MARIADB_URL`, else one of this process. */
export const sharedMariadb = shared("MARIADB_URL", startMariadb);

/** One server for all who ask in this process. `stop` ends it for all of them, and leaves a server of the environment alone. */
function shared(variable: string, start: () => Promise<Server>): () => Promise<SharedServer> {
  let own: Promise<SharedServer> | undefined;
  return async () => {
    const url = process.env[variable]?.replace(/^memcached:\/\//, "");
    if (url) return { url, stop: async () => {} };
    own ??= start();
    return own;
  };
}
