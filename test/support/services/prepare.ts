import { installMissing } from "./binary.ts";
import { MARIADB, MARIADB_INSTALLER, MEMCACHED, POSTGRES, REDIS } from "./programs.ts";

/** Before the first test: to install a server takes longer than a test may. What cannot be installed here is asked for by the tests that need it. */
export default async function prepare(): Promise<void> {
  try {
    await installMissing([REDIS, MEMCACHED, POSTGRES, MARIADB, MARIADB_INSTALLER]);
  } catch (error) {
    console.error((error as Error).message);
  }
}
