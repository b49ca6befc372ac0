/**
 * Dead letters in a process of its own, for ever: parks, and claims, marks, closes what was parked before. A line after each
 * step that is acknowledged: "parked ID", "sent ID", "answered ID".
 */

import { SystemClock } from "../../src/clock.ts";
import { silentLog } from "../../src/log.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { letterAt } from "./letter-rows.ts";
import { keepAll } from "./rows.ts";

const [path] = process.argv.slice(2);
const { deadLetters } = openStorage({
  location: resolveLocation(path, {}),
  retention: keepAll,
  clock: new SystemClock(),
  log: silentLog,
});
const say = (line: string) => process.stdout.write(`${line}\n`);
deadLetters.recover(1, 5);
say("open");
for (let n = 1; ; n++) {
  const { id } = deadLetters.park(letterAt(n, { idempotent: n % 2 === 0, payload: "x".repeat(n % 3_000) }));
  if (id !== null) say(`parked ${id}`);
  await new Promise(setImmediate);
  const next = n % 2 === 0 ? deadLetters.next("voice", 1) : null;
  if (!next || deadLetters.claim(next.id, 1).changed === 0) continue;
  deadLetters.markSent(next.id);
  say(`sent ${next.id}`);
  await new Promise(setImmediate);
  const end = { atMs: n, nextAtMs: n, counts: true, reason: "answered by voice", result: n } as const;
  const { changed } = deadLetters.close(next, { ...end, state: "answered", attempt: null });
  if (changed === 1) say(`answered ${next.id}`);
}
