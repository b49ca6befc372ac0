/** Cgroups of both versions: found from texts of real hosts, and made for real where this host lets us. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCgroupPlace } from "../../src/plugins/cgroup-place.ts";
import { Limits, ownCgroupPlace } from "../../src/plugins/limits.ts";
import { cgroupPids, killCgroup, PluginCgroup, removeCgroup } from "../../src/plugins/plugin-cgroup.ts";
import { eventually } from "./harness.ts";

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
  ["v2, in its own namespace", "0::/\n", v2Mounts, { version: 2, folder: "/sys/fs/cgroup/" }],
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
] as const)("the own cgroup is found: %s", (_, selfCgroup, mounts, expected) => {
  expect(findCgroupPlace(selfCgroup, mounts)).toEqual(expected as never);
});

const options = (name: string) => ({ runId: `${name}-${process.pid}`, ownPids: () => [process.pid] });

test("a folder that is no cgroup, or a read-only one, is a reason with a remedy and no error", () => {
  const limits = new Limits({ ...options("readonly"), place: { version: 2, folder: "/proc/self" } });
  expect(limits.runFolder).toBeNull();
  expect(limits.reason).toContain("/proc/self is not writable");
  expect(limits.reason).toContain("Delegate=yes");
  expect(limits.apply("bot", 2 ** 26)).toMatchObject({ cgroup: null, mechanism: "none" });
  expect(limits.apply("bot", null).reason).toBeNull();
});

test("a version 2 cgroup without the memory controller is left as it was", () => {
  const folder = mkdtempSync(join(tmpdir(), "cgroup2-"));
  try {
    Bun.spawnSync(["sh", "-c", `echo cpu pids > ${folder}/cgroup.controllers`]);
    const limits = new Limits({ ...options("nomem"), place: { version: 2, folder } });
    expect(limits.reason).toContain("has no memory controller");
    expect(existsSync(join(folder, `conductor-nomem-${process.pid}`))).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a version 2 cgroup that others live in is left alone, and the reason says so", () => {
  const folder = mkdtempSync(join(tmpdir(), "cgroup2-"));
  try {
    const script = `cd ${folder}; echo memory > cgroup.controllers; echo domain > cgroup.type; printf '1\\n2\\n${process.pid}\\n' > cgroup.procs`;
    Bun.spawnSync(["sh", "-c", script]);
    const limits = new Limits({ ...options("shared"), place: { version: 2, folder } });
    expect(limits.reason).toContain("holds 2 other processes");
    expect(existsSync(join(folder, "cgroup.subtree_control"))).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("version 2: the limit is written to max, a little lower to high, and a kill takes the group", () => {
  const root = mkdtempSync(join(tmpdir(), "cgroup2-"));
  try {
    const cgroup = new PluginCgroup(2, join(root, "bot"));
    cgroup.prepare(100_000_000);
    const read = (file: string) => readFileSync(join(cgroup.folder, file), "utf8");
    expect([read("memory.max"), read("memory.high"), read("memory.oom.group")]).toEqual([
      "100000000",
      "97000000",
      "1",
    ]);
    Bun.spawnSync(["sh", "-c", `printf 'low 0\\noom 2\\noom_kill 3\\n' > ${cgroup.folder}/memory.events`]);
    expect(cgroup.oomKills()).toBe(3);
  } finally {
    rmSync(root, { recursive: true });
  }
});

/** A cgroup2 mount that this process may use, with or without controllers. */
const unified = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((folder) =>
  existsSync(join(folder, "cgroup.procs")),
);

test.skipIf(unified === undefined || process.getuid?.() !== 0)(
  "version 2, for real: enter, list, kill, remove",
  async () => {
    const cgroup = new PluginCgroup(2, join(unified ?? "", `conductor-test-${process.pid}`));
    cgroup.prepare(null);
    const child = Bun.spawn(["sh", "-c", "trap '' TERM; sleep 300 & sleep 300"], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    try {
      cgroup.add(child.pid);
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

describe.skipIf(ownCgroupPlace()?.version !== 1)("version 1, for real", () => {
  test("makes one for each plugin with its limit, and removes them all", () => {
    const limits = new Limits(options("real"));
    expect(limits.reason).toBeNull();
    const { cgroup, mechanism, reason } = limits.apply("bot", 64 * 2 ** 20);
    expect([mechanism, reason]).toEqual(["cgroup v1", null]);
    expect(readFileSync(join(cgroup?.folder ?? "", "memory.limit_in_bytes"), "utf8").trim()).toBe(
      String(64 * 2 ** 20),
    );
    expect(cgroup?.oomKills()).toBe(0);
    expect(limits.release()).toBe(true);
    expect(existsSync(limits.runFolder ?? "")).toBe(false);
  });
});
