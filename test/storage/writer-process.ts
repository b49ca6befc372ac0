/** A conductor's storage in a process of its own: writes decisions and samples for ever, one line after each is acknowledged. */

import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { draftAt, keepAll, sampleAt } from "./rows.ts";

const [path, mode] = process.argv.slice(2);
const storage = openStorage({
  location: resolveLocation(path, {}),
  retention: keepAll,
  clock: new SystemClock(),
  log: silentLog,
});
process.stdout.write("open\n");
for (let n = 1; mode === "write"; n++) {
  storage.samples.insert(sampleAt(n));
  const id = storage.decisions.append(draftAt(n));
  process.stdout.write(`${id}\n`);
  await new Promise(setImmediate);
}
// Held until it is killed.
await new Promise(() => setInterval(() => undefined, 1_000));
