/** The launcher as a process: what a program finds when it starts, why one does not start, and that it dies with conductor. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launchOver } from "../../src/plugins/launch/launch-link.ts";
import type { SandboxPlan } from "../../src/plugins/launch/sandbox-plan.ts";
import { type PluginProcess, spawnPlugin } from "../../src/plugins/plugin-process.ts";
import { isAlive, listProcesses, readProcess } from "../../src/plugins/proc-table.ts";
import { clock, eventually, execPlugin, openSandbox, rogue, selfFromSource } from "./harness.ts";
import { compileManager, isRoot, type Managed, proberPlugin, startManaged } from "./managed.ts";

let folder = "";
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "conductor-launch-")));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function spawn(
  command: string[],
  sandbox: Partial<SandboxPlan> = {},
  selfCommand = selfFromSource,
): PluginProcess {
  const spawned = spawnPlugin({
    plugin: "bot",
    runId: `launcher-${process.pid}`,
    command,
    folder,
    environment: { PATH: "/usr/bin:/bin", GREETING: "hällo\nyou", EMPTY: "" },
    instance: 1,
    cgroupProcsFiles: [],
    niceness: null,
    limitProcesses: false,
    oomScoreAdj: 777,
    channel: "stdin",
    sandbox: () => ({ ok: true, plan: { ...openSandbox, ...sandbox } }),
    selfCommand,
    clock,
  });
  if (!spawned.ok) throw new Error(spawned.message);
  return spawned.process;
}

/** Everything it writes to stdout, once it has ended. */
async function outputOf(child: PluginProcess): Promise<string> {
  const [out, err, stdin] = [child.fds.stdout, child.fds.stderr, child.fds.channel].map((fd) =>
    new Response(Bun.file(fd).stream()).text(),
  );
  void stdin;
  await child.exited;
  return `${await out}${await err}`;
}

describe("a program that is launched", () => {
  test("finds the environment that it was given and nothing else, its folder, and its arguments", async () => {
    const child = spawn([
      "python3",
      "-c",
      "import os, sys; print(dict(os.environ), os.getcwd(), sys.argv[1:])",
      "a b",
      "",
    ]);
    const text = await outputOf(child);
    expect(text).toContain("'PATH': '/usr/bin:/bin', 'GREETING': 'hällo\\nyou', 'EMPTY': ''");
    expect(text).toContain(`${folder} ['a b', '']`);
    expect(text).not.toContain("BUN");
    expect(text).not.toContain("CONDUCTOR");
    expect(await child.launched).toMatchObject({
      ok: true,
      report: { cgroupProblems: [], processes: null },
    });
  });

  test("has its three descriptors only, no signal ignored or blocked, its score and its limits", async () => {
    const look =
      "ls -l /proc/self/fd; cat /proc/self/oom_score_adj; ulimit -n; ulimit -c; grep ^Sig /proc/self/status";
    const text = await outputOf(spawn(["sh", "-c", look], { openFiles: 321 }));
    const descriptors = text.split("\n").filter((line) => line.includes(" -> "));
    expect(descriptors.map((line) => line.split(" ").at(-3))).toEqual(["0", "1", "2", "3"]);
    expect(descriptors[3]).toContain("/proc/"); // ls itself opened this one.
    expect(text).toContain("777\n321\n0\n");
    expect(text).toMatch(/SigBlk:\s0{16}\nSigIgn:\s0{16}\n/);
  });

  test("may be a script without a first line, which the shell then runs", async () => {
    writeFileSync(join(folder, "bare.sh"), "echo bare $1\n");
    chmodSync(join(folder, "bare.sh"), 0o755);
    expect(await outputOf(spawn(["./bare.sh", "one"]))).toBe("bare one\n");
  });

  test("whose interpreter does not exist is said not to have started", async () => {
    writeFileSync(join(folder, "broken.sh"), "#!/no/such/interpreter\n");
    chmodSync(join(folder, "broken.sh"), 0o755);
    const child = spawn(["./broken.sh"]);
    const launched = await child.launched;
    expect(launched).toMatchObject({ ok: false });
    expect(launched.ok ? "" : launched.message).toContain(
      "the interpreter that its first line names does not exist",
    );
    expect(await child.exited).toEqual({ exitCode: 1, signal: null });
  });

  test("is not started when its folder is gone, or conductor is", async () => {
    const missing = spawnPlugin({
      plugin: "bot",
      runId: "gone",
      command: ["/bin/true"],
      folder: join(folder, "gone"),
      environment: {},
      instance: 1,
      cgroupProcsFiles: [],
      niceness: null,
      limitProcesses: false,
      oomScoreAdj: null,
      channel: "stdin",
      sandbox: () => ({ ok: true, plan: openSandbox }),
      selfCommand: selfFromSource,
      clock,
    });
    if (!missing.ok) throw new Error(missing.message);
    expect(await missing.process.launched).toMatchObject({
      message: expect.stringContaining("cannot be entered (ENOENT)"),
    });
    const orphan = Bun.spawn([...selfFromSource, "__launch"], {
      env: {},
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe", "pipe", "pipe"],
    });
    const status = (orphan.stdio as readonly unknown[])[6] as number;
    const spec = {
      ...openSandbox,
      plugin: "bot",
      path: "/bin/true",
      argv: ["true"],
      environment: {},
      folder: "/",
      channel: "stdin",
      parentPid: 1,
      cgroupProcsFiles: [],
      oomScoreAdj: null,
      nice: null,
    } as const;
    expect(await launchOver(status, spec, clock)).toEqual({ ok: false, message: "conductor is gone" });
    expect(await orphan.exited).toBe(1);
  });

  test("is not started by a launcher that ends at once", async () => {
    const child = spawn(["true"], {}, ["/bin/false"]);
    expect(await child.launched).toEqual({
      ok: false,
      message: expect.stringContaining("its launcher ended before it started anything"),
    });
  });

  test("that is called by hand says so", () => {
    const done = Bun.spawnSync([...selfFromSource, "__launch"], { stdin: "ignore" });
    expect(done.exitCode).toBe(2);
    expect(done.stderr.toString()).toContain("run: conductor serve");
  });
});

describe.each(isRoot ? (["root", "user"] as const) : (["user"] as const))(
  "under a conductor run by %s",
  (as) => {
    let compiled: Awaited<ReturnType<typeof compileManager>>;
    let managed: Managed | null = null;
    beforeAll(async () => {
      compiled = await compileManager();
    }, 120_000);
    afterAll(() => compiled.remove());
    afterEach(async () => {
      await managed?.end();
      managed = null;
    });

    const guardOf = (runId: string): number => {
      const isGuard = (pid: number) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`__guard\0${runId}`);
        } catch {
          return false; // It ended meanwhile.
        }
      };
      return listProcesses().find(({ pid }) => isGuard(pid))?.pid ?? 0;
    };

    test("a plugin that ignores every signal dies with conductor, without the guard", async () => {
      const rogueSource = readFileSync(rogue()[1] ?? "", "utf8");
      const started = await startManaged({
        executable: compiled.executable,
        as,
        plugins: {
          bot: { ...execPlugin("bot", ["python3", "rogue.py", "ignore-term"]), "rogue.py": rogueSource },
          bun: proberPlugin("bun", "bun"),
        },
      });
      managed = started;
      const ids = ["bot", "bun"].map((name) => {
        const pid = started.view(name).pids[0] ?? 0;
        return { pid, startTicks: readProcess(pid)?.startTicks ?? 0 };
      });
      expect(ids.every(isAlive)).toBe(true);
      const guard = guardOf(started.runId);
      expect(guard).toBeGreaterThan(1);
      process.kill(guard, "SIGSTOP");
      await started.kill();
      try {
        await eventually(() => !ids.some(isAlive));
      } finally {
        process.kill(guard, "SIGKILL");
      }
    }, 30_000);

    test("a plugin outlives everything that conductor does beside it", async () => {
      const plugins = { bot: proberPlugin("bot", "exec"), other: proberPlugin("other", "exec") };
      const started = await startManaged({ executable: compiled.executable, as, plugins });
      managed = started;
      const pid = started.view("bot").pids[0] ?? 0;
      const id = { pid, startTicks: readProcess(pid)?.startTicks ?? 0 };
      for (let times = 0; times < 10; times++) {
        await started.restart("other");
        expect(await started.probe("bot", [["unix"]])).toEqual(["ok"]);
      }
      expect(isAlive(id)).toBe(true);
    }, 30_000);

    test("open files are limited to what conductor itself may have", async () => {
      const more = "limits: { openFiles: 1048576 }\n";
      const started = await startManaged({
        executable: compiled.executable,
        as,
        plugins: {
          few: proberPlugin("few", "exec", "limits: { openFiles: 16 }\n"),
          many: proberPlugin("many", "exec", more),
        },
      });
      managed = started;
      expect(await started.probe("few", [["limit", "RLIMIT_NOFILE"]])).toEqual([[16, 16]]);
      // Root without CAP_SYS_RESOURCE, as in a container, cannot raise it either.
      const raise = as === "root" ? "ulimit -n 1048576 2>&-; " : "";
      const own = Bun.spawnSync(["sh", "-c", `${raise}ulimit -Hn`]).stdout.toString();
      const most = Math.min(Number(own), 1_048_576);
      expect(await started.probe("many", [["limit", "RLIMIT_NOFILE"]])).toEqual([[most, most]]);
      if (as === "root")
        expect(await started.probe("few", [["limit", "RLIMIT_NPROC"]])).toEqual([[1_024, 1_024]]); // Twice limits.processes: a new version may run beside the old.
    }, 30_000);
  },
);
