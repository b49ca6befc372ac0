/** Tries to open the database of another process, and prints what it was told. */

import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { DatabaseLockedError } from "../../src/storage/errors.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { keepAll } from "./rows.ts";

try {
  const location = resolveLocation(process.argv[2], {});
  openStorage({ location, retention: keepAll, clock: new SystemClock(), log: silentLog }).close();
  process.stdout.write("opened\n");
} catch (error) {
  process.stdout.write(`${error instanceof DatabaseLockedError ? `${error.code} ${error.pid}` : error}\n`);
}
