/** Cgroups of both versions: found from texts of real hosts, and made for real where this host lets us. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CgroupPlaces, findCgroupPlace, findCgroupPlaces } from "../../src/plugins/cgroup-place.ts";
import { cpuSettings, memorySettings, processSettings } from "../../src/plugins/cgroup-settings.ts";
import { liftCpuQuota, type ManifestLimits, withoutNotEntered } from "../../src/plugins/limit-in-force.ts";
import { Limits, ownCgroupPlaces } from "../../src/plugins/limits.ts";
import { cgroupPids, killCgroup, PluginCgroup, removeCgroup } from "../../src/plugins/plugin-cgroup.ts";
import { eventually } from "./harness.ts";
import { limitsOf } from "./limits-of.ts";

const v1Mounts = `30 20 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 30 0:36 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`;
const v2Mounts = "30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const dockerV1 = "34 30 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

test.each([
  [
    "v1",
    "4:memory:/user.slice/a:b\n0::/x\n",
    v1Mounts,
    { version: 1, folder: "/sys/fs/cgroup/memory/user.slice/a:b" },
  ],
  [
    "v2, a service",
    "0::/system.slice/conductor.service\n",
    v2Mounts,
    { version: 2, folder: "/sys/fs/cgroup/system.slice/conductor.service" },
  ],
  ["v2, in its own namespace", "0::/\n", v2Mounts, { version: 2, folder: "/sys/fs/cgroup" }],
  [
    "hybrid without the memory controller on v1",
    "1:name=systemd:/a\n0::/b\n",
    v2Mounts,
    { version: 2, folder: "/sys/fs/cgroup/b" },
  ],
  ["docker on v1", "4:memory:/docker/abc\n", dockerV1, { version: 1, folder: "/sys/fs/cgroup/memory" }],
  [
    "docker on v1, a child",
    "4:memory:/docker/abc/x\n",
    dockerV1,
    { version: 1, folder: "/sys/fs/cgroup/memory/x" },
  ],
  [
    "outside its namespace",
    "0::/../other\n",
    "30 20 0:26 /app /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    null,
  ],
  [
    "a mount point with a space",
    "0::/a\n",
    "30 20 0:26 / /mnt/c\\040g rw - cgroup2 cgroup2 rw\n",
    { version: 2, folder: "/mnt/c g/a" },
  ],
  ["none", "", "30 20 0:26 / / rw - ext4 /dev/sda rw\n", null],
] as const)("the own memory cgroup is found: %s", (_, selfCgroup, mounts, expected) => {
  expect(findCgroupPlace("memory", selfCgroup, mounts)).toEqual(expected as never);
});

test("each controller of version 1 has a place of its own, and what has none is looked for in version 2", () => {
  const self = "8:cpu,cpuacct:/sys\n4:memory:/user\n0::/both\n";
  expect(findCgroupPlaces(self, v1Mounts)).toEqual({
    memory: { version: 1, folder: "/sys/fs/cgroup/memory/user" },
    cpu: { version: 1, folder: "/sys/fs/cgroup/cpu,cpuacct/sys" },
    pids: { version: 2, folder: "/sys/fs/cgroup/unified/both" },
  });
  const shared = { version: 2, folder: "/sys/fs/cgroup/a" } as const;
  expect(findCgroupPlaces("0::/a\n", v2Mounts)).toEqual({ memory: shared, cpu: shared, pids: shared });
});

test("the settings of each limit", () => {
  const texts = (settings: ReturnType<typeof memorySettings>) =>
    settings.map(({ file, text }) => `${file}=${text}`);
  expect(texts(memorySettings(1, 1_000))).toEqual([
    "memory.limit_in_bytes=1000",
    "memory.memsw.limit_in_bytes=1000",
  ]);
  expect(texts(memorySettings(2, 1_000))).toEqual([
    "memory.high=970",
    "memory.max=1000",
    "memory.swap.max=0",
    "memory.oom.group=1",
  ]);
  expect(texts(cpuSettings(2, 0.5))).toEqual(["cpu.max=50000 100000"]);
  expect(texts(cpuSettings(1, 2))).toEqual(["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=200000"]);
  // Under a hundredth of a core the period is longer, since the kernel wants a quota of a millisecond.
  expect(texts(cpuSettings(2, 0.005))).toEqual(["cpu.max=5000 1000000"]);
  expect(texts(cpuSettings(2, 0.00001))).toEqual(["cpu.max=1000 1000000"]);
  expect(texts(processSettings(7))).toEqual(["pids.max=7"]);
});

const options = (name: string) => ({ runId: `${name}-${process.pid}`, ownPids: () => [process.pid] });
const MiB = 2 ** 20;

/** A folder as a version 2 cgroup shows itself: the files that conductor reads, and those that it writes if there. */
function fixtureTree(controllers: string, pids: readonly number[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "cgroup2-"));
  writeFileSync(join(folder, "cgroup.controllers"), `${controllers}\n`);
  writeFileSync(join(folder, "cgroup.type"), "domain\n");
  writeFileSync(join(folder, "cgroup.procs"), pids.map((pid) => `${pid}\n`).join(""));
  const place = { version: 2, folder } as const;
  const places: CgroupPlaces = { memory: place, cpu: place, pids: place };
  const read = (...path: string[]) => readFileSync(join(folder, ...path), "utf8");
  return { folder, places, read, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

const all: ManifestLimits = limitsOf({ memoryBytes: 64 * MiB, cpuCores: 0.5, processes: 20 });
const none: ManifestLimits = limitsOf({});

test("a folder that is no cgroup, or a read-only one, is a reason with a remedy and no error", () => {
  const place = { version: 2, folder: "/proc/self" } as const;
  const limits = new Limits({ ...options("readonly"), place: { memory: place, cpu: place, pids: place } });
  expect(limits.runFolders).toEqual([]);
  for (const reason of Object.values(limits.reasons())) {
    expect(reason).toContain("/proc/self is not writable");
    expect(reason).toContain("Delegate=yes");
  }
  const { cgroup, enforced } = limits.apply("bot", all, 1);
  expect(cgroup).toBeNull();
  expect(enforced.memory.mechanism).toBe("statm watch");
  expect(enforced.memory.reason).toContain(
    "the kernel does not hold limits.memory: /proc/self is not writable",
  );
  expect(enforced.cpu).toMatchObject({
    mechanism: "nice 10",
    reason: expect.stringContaining("only makes it yield"),
  });
  expect(enforced.processes).toMatchObject({
    mechanism: null,
    reason: expect.stringContaining("limits.processes is not enforced: /proc/self"),
  });
});

test("without cgroups what is not asked for is no problem, and what others may enforce is told", () => {
  const limits = new Limits({ ...options("none"), place: null });
  const { enforced, procsFiles, ...rest } = limits.apply("bot", none, 1);
  expect(enforced.memory).toEqual({ mechanism: null, reason: null });
  expect(enforced.cpu).toEqual({ mechanism: null, reason: null });
  expect(enforced.processes.reason).toBe("limits.processes is not enforced: no pids cgroup is mounted");
  expect(procsFiles).toEqual([]);
  expect(rest).toMatchObject({ niceness: null, watchBytes: null, processesWithoutCgroup: none.processes });
  expect(limits.apply("bot", all, 2)).toMatchObject({
    niceness: 10,
    watchBytes: 64 * MiB,
    processesWithoutCgroup: 20,
  });
  expect(limits.release()).toBe(true);
});

describe("version 2, on a tree of files", () => {
  test("without a controller it is left as it was", () => {
    using tree = fixtureTree("");
    const limits = new Limits({ ...options("bare"), place: tree.places });
    expect(limits.reasons().memory).toContain("has no memory controller; for systemd set Delegate=yes");
    expect(existsSync(join(tree.folder, `conductor-bare-${process.pid}`))).toBe(false);
    expect(existsSync(join(tree.folder, "cgroup.subtree_control"))).toBe(false);
  });

  test("one that others live in is left alone, and the reason says so", () => {
    using tree = fixtureTree("cpu memory pids", [1, 2, process.pid]);
    const limits = new Limits({ ...options("shared"), place: tree.places });
    for (const reason of Object.values(limits.reasons())) expect(reason).toContain("holds 2 other processes");
    expect(existsSync(join(tree.folder, "cgroup.subtree_control"))).toBe(false);
  });

  test("every limit is written into the one folder of the instance, and the conductor sits in a leaf", () => {
    using tree = fixtureTree("cpuset cpu io memory pids", [process.pid]);
    const { runId, ownPids } = options("full");
    const limits = new Limits({ runId, ownPids, place: tree.places });
    expect(limits.reasons()).toEqual({});
    expect(limits.runFolders).toEqual([{ version: 2, folder: join(tree.folder, `conductor-${runId}`) }]);
    expect(tree.read(`conductor-${runId}`, "self", "cgroup.procs")).toBe(String(process.pid));
    expect(tree.read(`conductor-${runId}`, "self", "cpu.weight")).toBe("1000");
    const limit = limits.apply("bot", all, 7);
    const { cgroups, enforced, procsFiles } = limit;
    expect(cgroups.map(({ folder }) => folder)).toEqual([join(tree.folder, `conductor-${runId}`, "bot.7")]);
    expect(procsFiles).toHaveLength(1);
    const read = (file: string) => tree.read(`conductor-${runId}`, "bot.7", file);
    expect([read("memory.max"), read("memory.high")]).toEqual([
      String(64 * MiB),
      String(Math.floor(0.97 * 64 * MiB)),
    ]);
    expect([read("cpu.max"), read("pids.max")]).toEqual(["50000 100000", "20"]);
    for (const name of ["memory", "cpu", "processes"] as const)
      expect(enforced[name]).toEqual({ mechanism: "cgroup v2", reason: null });
    liftCpuQuota(limit);
    expect(read("cpu.max")).toBe("max");
  });

  test("a missing controller does not cost the others", () => {
    using tree = fixtureTree("memory pids", [process.pid]);
    const limits = new Limits({ ...options("nocpu"), place: tree.places });
    expect(limits.reasons()).toEqual({ cpu: expect.stringContaining("has no cpu controller") });
    const { enforced, niceness } = limits.apply("bot", all, 1);
    expect(niceness).toBe(10);
    expect(enforced.memory).toEqual({ mechanism: "cgroup v2", reason: null });
    expect(enforced.processes).toEqual({ mechanism: "cgroup v2", reason: null });
    expect(enforced.cpu.reason).toContain("Delegate=cpu memory pids");
  });

  test("files that a kernel may lack are written where they are, and kills are counted", () => {
    using tree = fixtureTree("");
    const cgroup = new PluginCgroup(2, tree.folder);
    cgroup.set(memorySettings(2, 1_000));
    expect(existsSync(join(tree.folder, "memory.swap.max"))).toBe(false);
    writeFileSync(join(tree.folder, "memory.swap.max"), "max\n");
    cgroup.set(memorySettings(2, 1_000));
    expect(tree.read("memory.swap.max")).toBe("0");
    writeFileSync(join(tree.folder, "memory.events"), "low 0\noom 2\noom_kill 3\n");
    expect(cgroup.oomKills()).toBe(3);
  });

  test("a process that did not get into its cgroup is not said to be held by it", () => {
    using tree = fixtureTree("cpu memory pids", [process.pid]);
    const limit = new Limits({ ...options("out"), place: tree.places }).apply("bot", all, 1);
    const [procsFile = ""] = limit.procsFiles;
    expect(withoutNotEntered(limit, all, [])).toBe(limit);
    const left = withoutNotEntered(limit, all, [{ procsFile, code: "EPERM" }]);
    expect(left).toMatchObject({ cgroup: null, cgroups: [], watchBytes: 64 * MiB, niceness: 10 });
    expect(left.enforced.processes.reason).toContain("bot.1 (EPERM)");
  });
});

/** A cgroup2 mount that this process may use, with or without controllers. */
const unified = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((folder) =>
  existsSync(join(folder, "cgroup.procs")),
);

test.skipIf(unified === undefined || process.getuid?.() !== 0)(
  "version 2, for real: enter, list, kill, remove",
  async () => {
    const cgroup = new PluginCgroup(2, join(unified ?? "", `conductor-test-${process.pid}`));
    cgroup.make();
    // It begins once it is inside: what it had started before would stay outside.
    const child = Bun.spawn(["sh", "-c", "read begin; trap '' TERM; sleep 300 & sleep 300"], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    try {
      cgroup.add(child.pid);
      child.stdin.write("begin\n");
      await child.stdin.end();
      await eventually(() => cgroup.pids().length === 3);
      expect(cgroup.pids()).toContain(child.pid);
      expect(cgroup.remove()).toBe(false);
      const killed = killCgroup(cgroup.folder);
      if (!killed) for (const pid of cgroup.pids()) process.kill(pid, "SIGKILL");
      await child.exited;
      await eventually(() => cgroupPids(cgroup.folder).length === 0 && cgroup.remove());
    } finally {
      for (const pid of cgroup.pids()) process.kill(pid, "SIGKILL");
      await eventually(() => removeCgroup(cgroup.folder));
    }
  },
);

describe.skipIf(ownCgroupPlaces().memory?.version !== 1)("version 1, for real", () => {
  test("makes one in each tree for each instance with its limits, and removes them all", () => {
    const limits = new Limits(options("real"));
    expect(limits.reasons()).toEqual({});
    const read = (controller: string, instance: string, file: string) => {
      const run = limits.runFolders.find(({ folder }) => folder.includes(`/${controller}/`));
      return readFileSync(join(run?.folder ?? "", instance, file), "utf8").trim();
    };
    const first = limits.apply("bot", all, 1);
    const second = limits.apply("bot", none, 2);
    for (const name of ["memory", "cpu", "processes"] as const)
      expect(first.enforced[name]).toEqual({ mechanism: "cgroup v1", reason: null });
    expect(first.procsFiles).toHaveLength(3);
    expect(read("memory", "bot.1", "memory.limit_in_bytes")).toBe(String(64 * MiB));
    expect(read("cpu", "bot.1", "cpu.cfs_quota_us")).toBe("50000");
    expect(read("pids", "bot.1", "pids.max")).toBe("20");
    expect(first.cgroup?.oomKills()).toBe(0);
    // Without a limit it is in the memory cgroup all the same, which measures it.
    expect(second.cgroup?.folder).toEndWith("/bot.2");
    expect(read("pids", "bot.2", "pids.max")).toBe(String(none.processes));
    expect(second.enforced.memory).toEqual({ mechanism: null, reason: null });
    liftCpuQuota(first);
    liftCpuQuota(second);
    expect(read("cpu", "bot.1", "cpu.cfs_quota_us")).toBe("-1");
    expect(limits.release()).toBe(true);
    liftCpuQuota(first);
    for (const { folder } of limits.runFolders) expect(existsSync(folder)).toBe(false);
  });
});
