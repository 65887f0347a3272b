import type { Program } from "./binary.ts";

/** The servers that tests and benches start. */
export const REDIS: Program = { names: ["redis-server"], debian: "redis-server", variable: "REDIS_URL" };
export const MEMCACHED: Program = { names: ["memcached"], debian: "memcached", variable: "MEMCACHED_URL" };
export const POSTGRES: Program = { names: ["postgres"], debian: "postgresql", folders: ["/usr/lib/postgresql/*/bin"], variable: "POSTGRES_URL" };
export const MARIADB: Program = { names: ["mariadbd", "mysqld"], debian: "mariadb-server", variable: "MARIADB_URL" };
export const MARIADB_INSTALLER: Program = { ...MARIADB, names: ["mariadb-install-db", "mysql_install_db"] };
