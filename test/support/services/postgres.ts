import { execFile } from "node:child_process";
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { unprivileged } from "./account.ts";
import { programPath } from "./binary.ts";
import { POSTGRES } from "./programs.ts";
import { freePort, HOST } from "./connection.ts";
import { makeFolder, type Server, startServer } from "./server.ts";
import { copyOfTemplate } from "./template.ts";

export interface PostgresOptions {
  /** Settings, e.g. `{ max_connections: "10" }`; they win over those made here for speed. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** For speed, and so that a killed server leaves nothing outside its folder: a crash of the machine may lose what a crash of the server keeps. */
const SETTINGS: Readonly<Record<string, string>> = {
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "32MB",
  autovacuum_naptime: "10min",
  dynamic_shared_memory_type: "mmap",
  unix_socket_directories: "",
  listen_addresses: HOST,
};

/** A Postgres of our own, with the database and the superuser `postgres`. After `kill` and `start` it has what was committed. */
export async function startPostgres({ settings = {} }: PostgresOptions = {}): Promise<Server> {
  const command = realpathSync(await programPath(POSTGRES));
  const account = unprivileged("postgres", "nobody");
  const port = await freePort();
  const folder = makeFolder("postgres", account);
  const data = join(folder, "data");
  const initdb = join(dirname(command), "initdb");
  const initialise = (target: string): [string, ...string[]] => [initdb, "-D", target, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  await copyOfTemplate({ name: `postgres-${await versionOf(command)}`, account, command: initialise }, data);
  const args = Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const url = `postgres://postgres@${HOST}:${port}/postgres`;
  const launch = { name: "postgres", command, args: ["-D", data, "-p", String(port), ...args], port, url, folder, account };
  return startServer({ ...launch, stopSignal: "SIGQUIT", answers: () => selectOne(url) });
}

async function selectOne(url: string): Promise<void> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000, query_timeout: 1000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
  } finally {
    await client.end();
  }
}

async function versionOf(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, ["--version"]);
  return /\d+(\.\d+)*/.exec(stdout)?.[0] ?? "unknown";
}
