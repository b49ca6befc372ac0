/**
 * The role `__replay-record`: reads a `replayRequest` on stdin, replays the record under both policies, and writes a
 * `replayAnswer` to stdout. It computes for long; see plugins/background-role.ts for how it is kept out of the way.
 */

import { SystemClock } from "../clock.ts";
import { peakResidentBytes } from "../monitor/process-memory.ts";
import { yieldTheDisk } from "../plugins/launch/disk-priority.ts";
import { openStorageReader } from "../storage/storage.ts";
import { loadKernels } from "./load-kernels.ts";
import { recordReplay } from "./record-replay.ts";
import { regretByReplay } from "./regret.ts";
import { type ReplayAnswer, replayRequest } from "./replay-request.ts";

/** Yields the exit code: 2 for a request that it does not understand, 1 for a record that cannot be read. */
export async function runReplay(): Promise<number> {
  const asked = replayRequest.safeParse(await readRequest());
  if (!asked.success) {
    process.stderr.write("__replay-record is started by conductor itself; run: conductor compare --shadow\n");
    return 2;
  }
  yieldTheDisk();
  const { database, kernel, span, acting, shadow, settings } = asked.data;
  const clock = new SystemClock();
  const beganMs = clock.monotonicMs();
  try {
    const { kernels } = await loadKernels(kernel);
    const reader = openStorageReader(database);
    try {
      const regret = await regretByReplay(reader, { acting, shadow }, span, recordReplay(settings, kernels));
      const answer: ReplayAnswer = {
        regret,
        replayMs: Math.round(clock.monotonicMs() - beganMs),
        peakBytes: peakResidentBytes() ?? process.resourceUsage().maxRSS * 1_024,
      };
      process.stdout.write(`${JSON.stringify(answer)}\n`);
    } finally {
      reader.close();
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
  return 0;
}

/** Null: it is no JSON. */
async function readRequest(): Promise<unknown> {
  const text = await Bun.stdin.text();
  try {
    return JSON.parse(text);
  } catch {
    return null; // Somebody else started it; they are told so.
  }
}
