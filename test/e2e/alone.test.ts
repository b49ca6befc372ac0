/** The executable alone in a folder that cannot be written, with nothing in its environment. */

import { describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "./clean-up.ts";
import { canMakeCgroups, MemoryCgroup } from "./memory-cgroup.ts";
import { descendantsOf } from "./processes.ts";
import { alive, executable, RunningConductor, root, until, writeFiles } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const MiB = 2 ** 20;
const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

/** A folder with the executable alone, mounted read-only where this user may, else without write permission. */
function readOnlyFolder(): string {
  const parent = scratchFolder(defer);
  chmodSync(parent, 0o755);
  const folder = join(parent, "alone");
  mkdirSync(folder);
  copyFileSync(executable, join(folder, "conductor"));
  chmodSync(join(folder, "conductor"), 0o755);
  chmodSync(folder, 0o555);
  if (!isRoot) return folder;
  const mounted = join(parent, "mounted");
  mkdirSync(mounted);
  const run = (...command: string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(command);
    if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  };
  run("mount", "--bind", folder, mounted);
  defer(() => run("umount", "--lazy", mounted));
  run("mount", "-o", "remount,ro,bind", mounted);
  return mounted;
}

const asNobody = (command: string[]) => [
  "setpriv",
  ...[`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"],
  ...command,
];

async function serveAlone(options: {
  wrap?: (command: string[]) => string[];
  environment?: Record<string, string>;
}) {
  const folder = readOnlyFolder();
  // A free port for android's clients, in place of its fixed one; elsewhere, since this folder holds nothing else.
  const elsewhere = scratchFolder(defer);
  chmodSync(elsewhere, 0o755);
  writeFiles(elsewhere, { "conductor.yaml": "plugins: { config: { android: { port: 0 } } }\n" });
  const conductor = await RunningConductor.start({
    bare: true,
    args: ["--config", join(elsewhere, "conductor.yaml")],
    folder,
    executable: join(folder, "conductor"),
    ...(options.environment ? { environment: options.environment } : {}),
    ...(options.wrap ? { wrap: options.wrap } : {}),
  });
  defer(() => conductor.kill());
  return conductor;
}

/** It serves with all four plugins, then ends on TERM and leaves nothing. */
async function showsThatItServes(conductor: RunningConductor): Promise<void> {
  expect((await conductor.plugins()).map(({ name, state }) => `${name} ${state}`)).toEqual([
    "android ready",
    "discord ready",
    "stubs ready",
    expect.stringMatching(/^voice (ready|degraded)$/),
  ]);
  const stubs = await conductor.request("stubs", { text: "hello" });
  expect([stubs.status, stubs.body.degraded]).toEqual([200, false]);
  const discord = await conductor.request("discord", { command: "!ping" });
  expect(discord.body.result).toMatchObject({ reply: "pong" });
  const [inMemory] = conductor.logged("storage.in_memory");
  expect(inMemory?.reason).toContain("STATE_DIRECTORY");
  expect(conductor.logged("http.token_not_kept")).toHaveLength(1);
}

async function endsCleanly(conductor: RunningConductor, processes: number): Promise<void> {
  const family = descendantsOf(conductor.pid);
  expect(family.length).toBeGreaterThanOrEqual(processes);
  const beginMs = performance.now();
  expect(await conductor.terminate()).toBe(0);
  expect(performance.now() - beginMs).toBeLessThan(10_000);
  for (const pid of family) expect(await alive(pid)).toBe(false);
  expect(readdirSync(conductor.folder)).toEqual(["conductor"]);
}

describe("the executable alone in a read-only folder", () => {
  test("runs and serves without HOME, PATH or anything beside it", async () => {
    const conductor = await serveAlone({});
    await showsThatItServes(conductor);
    await endsCleanly(conductor, 5);
  }, 30_000);

  test.skipIf(!isRoot)(
    "runs and serves for a user who may write nowhere",
    async () => {
      const conductor = await serveAlone({ wrap: asNobody });
      await showsThatItServes(conductor);
      const [plugin] = await conductor
        .get<{ plugins: { limits: { mechanism: string; reason: string } }[] }>("/api/v1/plugins")
        .then(({ plugins }) => plugins);
      if (plugin?.limits.mechanism === "statm watch")
        expect(plugin.limits.reason).toContain("the kernel does not hold limits.memory");
      else expect(plugin?.limits.mechanism).toMatch(/^cgroup v[12]$/);
      await endsCleanly(conductor, 5);
    },
    30_000,
  );

  test.skipIf(!canMakeCgroups())(
    "sheds in a memory cgroup that fills up, and leaves no cgroup",
    async () => {
      const cgroup = new MemoryCgroup("conductor-alone", 400 * MiB);
      defer(() => cgroup.remove());
      const conductor = await serveAlone({ wrap: (command) => cgroup.wrap(command) });
      const hog = join(root, "test/fixtures/hog.py");
      const filler = Bun.spawn(
        cgroup.wrap(["python3", hog, "steady", "280", "0", "280", join(root, "none")]),
      );
      defer(async () => {
        filler.kill("SIGKILL");
        await filler.exited;
      });
      await until("voice is shed", 20_000, async () => (await conductor.states()).voice === "shed");
      expect((await conductor.states()).stubs).toBe("ready");
      const answer = await conductor.request("voice", { text: "hello" });
      expect(answer.body).toMatchObject({ degraded: true, plugin: "stubs" });
      expect(String(answer.body.reason)).toContain("shed");
      expect(cgroup.oomKills()).toBe(0);
      filler.kill("SIGKILL");
      await filler.exited;
      await endsCleanly(conductor, 2);
      expect(cgroup.inside()).toEqual([]);
      expect(existsSync("/conductor.db")).toBe(false);
    },
    60_000,
  );
});
