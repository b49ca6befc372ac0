/**
 * The role `__drill-cleaner VERSION RUN_FOLDER STATE_FOLDER DRILL_PID`: takes away what a drill made, however that ended.
 *
 *   stdin: the pid of the drill's conductor, a line each time it is started ──▶ end of stdin: the drill is over, or dead
 *   then: the conductor is killed ──▶ its guard ends the plugins ──▶ what is left is killed ──▶ cgroups and files go
 *
 * Exit code 0: nothing is left.
 */

import { rmSync } from "node:fs";
import { join } from "node:path";
import { type Clock, SystemClock, sleep } from "../../clock.ts";
import { childCgroupPids, removeCgroup } from "../../plugins/plugin-cgroup.ts";
import { signalProcess } from "../../plugins/process-family.ts";
import { releaseRunCgroups } from "../../plugins/run-cgroups.ts";
import { pidsBelow } from "./place.ts";

/** The guard ends plugins within milliseconds, and has cgroups to remove that only it knows. */
const guardMs = 5_000;
const killMs = 5_000;
const pollMs = 20;

async function emptied(
  folder: string,
  clock: Clock,
  withinMs: number,
  each?: (pid: number) => void,
): Promise<boolean> {
  const endMs = clock.monotonicMs() + withinMs;
  for (;;) {
    const pids = pidsBelow(folder);
    if (pids.length === 0) return true;
    if (clock.monotonicMs() >= endMs) return false;
    if (each) pids.forEach(each);
    await sleep(clock, pollMs);
  }
}

/** Those inside first; true when all are gone. */
function removeTree(folder: string): boolean {
  for (const below of childCgroupPids(folder)) removeTree(below.folder);
  return removeCgroup(folder);
}

/** Waits for the end of stdin; yields the last pid that was told, 0 for none. */
async function lastTold(): Promise<number> {
  let text = "";
  for await (const chunk of process.stdin) text = `${text}${chunk}`.slice(-64);
  return Number(text.trim().split("\n").at(-1) ?? 0);
}

export async function runDrillCleaner(argv: readonly string[]): Promise<number> {
  const [version, runFolder, stateFolder, drillPid] = argv;
  if (!runFolder || !stateFolder || !drillPid || !/\/conductor-drill-[^/]+$/.test(runFolder)) {
    process.stderr.write("__drill-cleaner is started by conductor itself; run: conductor drill\n");
    return 2;
  }
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);
  const conductor = await lastTold();
  const clock = new SystemClock();
  const folder = join(runFolder, "drill");
  if (pidsBelow(folder).includes(conductor)) signalProcess(conductor, "SIGKILL");
  const ended =
    (await emptied(folder, clock, guardMs)) ||
    (await emptied(folder, clock, killMs, (pid) => signalProcess(pid, "SIGKILL")));
  removeTree(folder);
  const removed = releaseRunCgroups(version === "1" ? 1 : 2, runFolder, [process.pid, Number(drillPid)]);
  rmSync(stateFolder, { recursive: true, force: true });
  if (ended && removed) return 0;
  process.stderr.write(
    `left behind: ${runFolder}${ended ? "" : `, with processes ${pidsBelow(folder).join(", ")}`}\n`,
  );
  return 1;
}
