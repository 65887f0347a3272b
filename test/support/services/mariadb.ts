import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { unprivileged } from "./account.ts";
import { programPath } from "./binary.ts";
import { MARIADB, MARIADB_INSTALLER } from "./programs.ts";
import { converse, freePort, HOST } from "./connection.ts";
import { makeFolder, type Server, startServer } from "./server.ts";
import { copyOfTemplate } from "./template.ts";


/** For speed: a crash of the machine may lose what a crash of the server keeps. The log is small because every server copies it. */
const SETTINGS = ["--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--innodb-buffer-pool-size=32M", "--skip-name-resolve"];

/** A MariaDB of our own, with the database `test` and `root` without a password. After `kill` and `start` it has what was committed. */
export async function startMariadb(): Promise<Server> {
  const command = await programPath(MARIADB);
  const installer = await programPath(MARIADB_INSTALLER);
  const account = unprivileged("mysql", "nobody");
  const port = await freePort();
  const folder = makeFolder("mariadb", account);
  const data = join(folder, "data");
  const normal = ["--auth-root-authentication-method=normal", "--skip-name-resolve"];
  const initialise = (target: string): [string, ...string[]] => [installer, "--no-defaults", `--datadir=${target}`, `--tmpdir=${target}`, ...normal, ...SETTINGS.slice(0, 1)];
  await copyOfTemplate({ name: `mariadb-${await versionOf(command)}`, account, command: initialise }, data);
  const place = [`--datadir=${data}`, `--tmpdir=${folder}`, `--bind-address=${HOST}`, `--port=${port}`, "--socket=mariadb.sock", "--pid-file=mariadb.pid"];
  const args = ["--no-defaults", ...place, ...SETTINGS];
  return startServer({ name: "mariadb", command, args, port, url: `mysql://root@${HOST}:${port}/test`, folder, account, answers: () => expectGreeting(port) });
}

/** A server that takes connections greets first, with its protocol's version: 10. */
async function expectGreeting(port: number): Promise<void> {
  const greeting = await converse(port, "", (reply) => reply.length > 4);
  if (greeting[4] !== 10) throw new Error(`MariaDB on port ${port} greeted with: ${greeting.toString("latin1", 7)}`);
}

async function versionOf(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, ["--version"]);
  return /\d+(\.\d+)+/.exec(stdout)?.[0] ?? "unknown";
}
