/** A conductor killed with SIGKILL leaves no process: of either runtime, nor grandchildren in sessions of their own. */

import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ownCgroupPlaces } from "../../src/plugins/limits.ts";
import { hasEnvironment, listProcesses } from "../../src/plugins/proc-table.ts";
import { signalProcess } from "../../src/plugins/process-family.ts";
import { type RunFolder, releaseRunCgroups } from "../../src/plugins/run-cgroups.ts";
import {
  bunPlugin,
  eventually,
  execPlugin,
  pluginFolder,
  processesOf,
  rogue,
  selfFromSource,
} from "./harness.ts";

const folders: string[] = [];
const conductors: Conductor[] = [];

/** Even when a test failed, nothing stays. */
afterEach(async () => {
  for (const { child, runId, cgroupFolders } of conductors.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
    await eventually(() => {
      for (const pid of processesOf(runId)) signalProcess(pid, "SIGKILL");
      return processesOf(runId).length === 0;
    });
    for (const { version, folder } of cgroupFolders) releaseRunCgroups(version, folder, []);
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

let runs = 0;

interface Conductor {
  child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  /** What it prints next. */
  next: () => Promise<unknown>;
  runId: string;
  ready: { name: string; state: string; pids: number[] }[];
  /** Of the run, one for each tree; they are there only when cgroups are used. */
  cgroupFolders: RunFolder[];
}

/** Starts a process that runs a plugin manager, and waits until its plugins are ready. */
async function conductor(
  cgroups: boolean,
  plugins: Record<string, Record<string, string>>,
): Promise<Conductor> {
  const root = pluginFolder(plugins);
  folders.push(root);
  const runId = `orphans-${process.pid}-${runs++}`;
  const child = Bun.spawn([...selfFromSource, "manage", JSON.stringify({ dirs: [root], runId, cgroups })], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    detached: true,
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? "null");
  const { ready } = (await next()) as Conductor;
  const started: Conductor = {
    child,
    next,
    runId,
    ready,
    cgroupFolders: Object.values(ownCgroupPlaces()).flatMap((place) =>
      place ? [{ version: place.version, folder: join(place.folder, `conductor-${runId}`) }] : [],
    ),
  };
  conductors.push(started);
  return started;
}

const there = (folders: readonly RunFolder[]): number =>
  folders.filter(({ folder }) => existsSync(folder)).length;

const guardsOf = (runId: string): number[] =>
  listProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => commandOf(pid).includes(`__guard\0${runId}`));

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

const spinning = `export default definePlugin({ handleRequest: () => { for (;;); } });
  Bun.spawn(["sleep", "300"], { detached: true });`;

const both = () => ({
  python: execPlugin("python", rogue("fork", "daemon", "ignore-term")),
  shell: execPlugin(
    "shell",
    ["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1; done"],
    "protocol: none\n",
  ),
  module: bunPlugin("module", spinning),
});

describe.each([
  ["with cgroups", true],
  ["without cgroups", false],
])("%s", (_, cgroups) => {
  test.skipIf(cgroups && ownCgroupPlaces().memory === null)("a SIGKILL leaves nothing", async () => {
    const { child, runId, ready, cgroupFolders } = await conductor(cgroups, both());
    expect(ready.map(({ state }) => state)).toEqual(["ready", "ready", "ready"]);
    // python: itself, 3 children, a daemon; shell: itself and sleep; module: itself and sleep.
    await eventually(() => processesOf(runId).length >= 9);
    expect(guardsOf(runId)).toHaveLength(1);
    expect(there(cgroupFolders)).toBe(cgroups ? cgroupFolders.length : 0);
    child.kill("SIGKILL");
    const began = performance.now();
    await eventually(() => processesOf(runId).length === 0 && guardsOf(runId).length === 0);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(there(cgroupFolders)).toBe(0);
  });

  test("a TERM does not end the guard, and a clean end of the conductor leaves nothing", async () => {
    const { child, runId, cgroupFolders } = await conductor(cgroups, both());
    const [guard = 0] = guardsOf(runId);
    process.kill(guard, "SIGTERM");
    child.stdin.write("stop\n");
    await child.stdin.flush();
    expect(await child.exited).toBe(0);
    await eventually(() => processesOf(runId).length === 0 && guardsOf(runId).length === 0);
    expect(there(cgroupFolders)).toBe(0);
  });
});

test("in a cgroup even a daemon that hides its environment is found after a SIGKILL", async () => {
  if (ownCgroupPlaces().memory === null) return;
  const { child, runId, cgroupFolders } = await conductor(true, {
    python: execPlugin("python", rogue("env-daemon")),
  });
  const inside = () =>
    cgroupFolders.flatMap(({ folder }) =>
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .flatMap(({ name }) => cgroupProcs(join(folder, name))),
    );
  await eventually(() => inside().some((pid) => !hasEnvironment(pid, [`CONDUCTOR_RUN=${runId}`])));
  const hidden = inside();
  child.kill("SIGKILL");
  await eventually(() => there(cgroupFolders) === 0 && guardsOf(runId).length === 0);
  expect(listProcesses().filter(({ pid }) => hidden.includes(pid))).toEqual([]);
});

const cgroupProcs = (folder: string): number[] =>
  readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);

test("a guard that dies is started again, and knows even what hides its environment", async () => {
  const hidden = execPlugin(
    "hidden",
    ["env", "-i", "sh", "-c", "trap '' TERM; sleep 300 & sleep 300"],
    "protocol: none\n",
  );
  const { child, next, runId, ready } = await conductor(false, { hidden });
  const [pid = 0] = ready[0]?.pids ?? [];
  const family = () => listProcesses().filter(({ sessionId }) => sessionId === pid);
  await eventually(() => family().length === 3);
  const [first = 0] = guardsOf(runId);
  process.kill(first, "SIGKILL");
  // Not as soon as the new one is a process: it has to be told first whom it guards.
  expect(await next()).toEqual({ event: "plugins.guard_back" });
  expect(guardsOf(runId)).not.toContain(first);
  child.kill("SIGKILL");
  await eventually(() => family().length === 0 && guardsOf(runId).length === 0);
  expect(processesOf(runId)).toEqual([]);
});
