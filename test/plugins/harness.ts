/** A plugin manager over folders that a test writes, with everything it announced, and nothing left afterwards. */

import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import type { EventMap, EventName } from "../../src/events/events.ts";
import { silentLog } from "../../src/log.ts";
import type { SandboxPlan } from "../../src/plugins/launch/sandbox-plan.ts";
import { PluginManager } from "../../src/plugins/manager.ts";
import type { PluginManagerOptions } from "../../src/plugins/manager-options.ts";
import { hasEnvironment, listProcesses } from "../../src/plugins/proc-table.ts";

export const fixtures = resolve(import.meta.dir, "../fixtures/plugins");
export const clock = new SystemClock();

/** How a host or a guard is started from source. */
export const selfFromSource = [process.execPath, "--no-env-file", join(fixtures, "main.ts")];

/** What a program may do that is not the subject: read everything, write nowhere, use the network. */
export const openSandbox: SandboxPlan = {
  openFiles: 4_096,
  processes: null,
  trusted: false,
  net: { kind: "all" },
  user: { kind: "conductor", reason: "it stays as it is" },
  files: { hidden: [], readable: [], writable: [], devices: [] },
  bubblewrap: null,
  bubblewrapMissing: false,
  withhold: [],
};

type Files = Record<string, string>;

/** A folder of plugin folders: `{ name: { "plugin.yaml": "...", "index.ts": "..." } }`. `.sh` and `.py` files may run. */
export function pluginFolder(plugins: Record<string, Files>): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "conductor-plugins-")));
  for (const [name, files] of Object.entries(plugins)) {
    mkdirSync(join(root, name), { recursive: true });
    for (const [file, text] of Object.entries(files)) {
      const path = join(root, name, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      if (/\.(sh|py)$/.test(file)) chmodSync(path, 0o755);
    }
  }
  return root;
}

/** A `runtime: bun` plugin with `source` as its module. */
export const bunPlugin = (name: string, source: string, more = ""): Files => ({
  "plugin.yaml": `name: ${name}\nversion: 1.0.0\nruntime: bun\nentry: index.ts\n${more}`,
  "index.ts": `import { definePlugin } from "conductor/plugin";\n${source}`,
});

/** A `runtime: exec` plugin that runs the fixture `program` with `args`. */
export const execPlugin = (name: string, command: readonly string[], more = ""): Files => ({
  "plugin.yaml": `name: ${name}\nversion: 1.0.0\nruntime: exec\ncommand: ${JSON.stringify(command)}\n${more}`,
});

/** The command line of the fixture that misbehaves as told. */
export const rogue = (...modes: string[]): string[] => ["python3", join(fixtures, "rogue.py"), ...modes];

let runs = 0;

export interface Harness {
  manager: PluginManager;
  events: { name: EventName; data: EventMap[EventName]; atMs: number }[];
  runId: string;
  root: string;
  /** Events of one kind, in order. */
  of<Name extends EventName>(name: Name): EventMap[Name][];
  /** Stops all, and fails when a process is left. */
  end(): Promise<void>;
}

/** Discovers the plugins; the caller starts them. */
export async function harness(
  plugins: Record<string, Files>,
  options: Partial<PluginManagerOptions> = {},
): Promise<Harness> {
  const root = pluginFolder(plugins);
  const events: Harness["events"] = [];
  const runId = `test-${process.pid}-${runs++}`;
  const manager = new PluginManager({
    dirs: [root],
    bundled: [],
    config: {},
    order: [],
    graceMs: 1_000,
    startTimeoutMs: 5_000,
    clock,
    log: silentLog,
    publisher: { publish: (name, data) => void events.push({ name, data, atMs: performance.now() }) },
    random: () => 0.5,
    runId,
    selfCommand: selfFromSource,
    environment: process.env,
    dataFolder: () => null,
    mayStart: () => ({ ok: true }),
    cgroupPlace: null,
    ...options,
  });
  await manager.discover();
  const of = <Name extends EventName>(name: Name) =>
    events.filter((event) => event.name === name).map(({ data }) => data as EventMap[Name]);
  const end = async () => {
    const { gone } = await manager.shutdown();
    rmSync(root, { recursive: true, force: true });
    const left = processesOf(runId);
    if (!gone || left.length > 0) throw new Error(`left behind: ${left.join(", ")} (gone: ${gone})`);
  };
  return { manager, events, runId, root, of, end };
}

/** Pids of living processes that carry the mark of a run. */
export const processesOf = (runId: string): number[] =>
  listProcesses()
    .map(({ pid }) => pid)
    .filter((pid) => hasEnvironment(pid, [`CONDUCTOR_RUN=${runId}`]));

/** Polls until `holds`; fails after `deadlineMs`. */
export async function eventually(holds: () => boolean | Promise<boolean>, deadlineMs = 5_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`did not hold within ${deadlineMs} ms: ${holds}`);
    await Bun.sleep(5);
  }
}

let requests = 0;

/** A request as the router makes them. */
export const request = (type = "message", payload: import("../../src/sdk/plugin.ts").Json = null) => ({
  id: `request-${++requests}`,
  platform: "test",
  type,
  payload,
});
