/** Opens a database, writes 30 rows of one kind in 30 transactions, closes it: for counting fsyncs. */

import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { draftAt, keepAll, sampleAt } from "./rows.ts";

const [path, kind] = process.argv.slice(2);
const location = resolveLocation(path, {});
const storage = openStorage({ location, retention: keepAll, clock: new SystemClock(), log: silentLog });
for (let n = 1; n <= 30; n++) {
  if (kind === "samples") storage.samples.insert(sampleAt(n));
  if (kind === "decisions") storage.decisions.append(draftAt(n));
}
storage.close();
