/** A host made of files: what /proc and the cgroup trees of other machines say, in a folder that stands for "/". */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const GiB = 2 ** 30;
export const MiB = 2 ** 20;

export class FixtureHost {
  readonly root = mkdtempSync(join(tmpdir(), "conductor-host-"));

  constructor(files: Record<string, string>) {
    this.write(files);
  }

  /** Writes files by their absolute path on the host. */
  write(files: Record<string, string>): this {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.root, path)), { recursive: true });
      writeFileSync(join(this.root, path), text);
    }
    return this;
  }

  delete(path: string): void {
    rmSync(join(this.root, path), { recursive: true });
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** /proc/meminfo with the lines of a real one around those that count. */
export function meminfo(
  totalBytes: number,
  availableBytes: number,
  swapTotalBytes = 0,
  swapFreeBytes = 0,
): string {
  const line = (name: string, bytes: number) =>
    `${`${name}:`.padEnd(16)}${String(bytes / 1024).padStart(8)} kB\n`;
  return [
    line("MemTotal", totalBytes),
    line("MemFree", 1024),
    line("MemAvailable", availableBytes),
    line("Cached", 4096),
    line("SwapCached", 0),
    line("SwapTotal", swapTotalBytes),
    line("SwapFree", swapFreeBytes),
    "HugePages_Total:       0\n",
  ].join("");
}

const v1Mount = (treeRoot: string) =>
  `35 31 0:32 ${treeRoot} /sys/fs/cgroup/memory rw,relatime shared:15 - cgroup cgroup rw,memory\n`;
const v2Mount = (treeRoot: string, at = "/sys/fs/cgroup") =>
  `31 23 0:28 ${treeRoot} ${at} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n`;
const otherMounts =
  "23 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n30 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";

/** mountinfo and self/cgroup of a version 1 host; `treeRoot` as a container sees it. */
export const v1Place = (path: string, treeRoot = "/"): Record<string, string> => ({
  "/proc/self/mountinfo": otherMounts + v1Mount(treeRoot),
  "/proc/self/cgroup": `9:name=systemd:/elsewhere\n4:memory:${path}\n1:cpu,cpuacct:/other\n`,
});

export const v2Place = (path: string, treeRoot = "/"): Record<string, string> => ({
  "/proc/self/mountinfo": otherMounts + v2Mount(treeRoot),
  "/proc/self/cgroup": `0::${path}\n`,
});

/** Version 1 owns the memory controller, and an empty version 2 tree is mounted beside it. */
export const hybridPlace = (path: string): Record<string, string> => ({
  "/proc/self/mountinfo": otherMounts + v2Mount("/", "/sys/fs/cgroup/unified") + v1Mount("/"),
  "/proc/self/cgroup": `4:memory:${path}\n0::/unified-only\n`,
});

export const v1Unlimited = "9223372036854771712";

/** Control files of a version 1 memory cgroup. The plain inactive_file leads astray on purpose: it is of the cgroup alone. */
export function v1Cgroup(path: string, limit: number | string, usageBytes: number, inactiveBytes: number) {
  const folder = `/sys/fs/cgroup/memory${path === "/" ? "" : path}`;
  return {
    [`${folder}/memory.limit_in_bytes`]: `${limit}\n`,
    [`${folder}/memory.usage_in_bytes`]: `${usageBytes}\n`,
    [`${folder}/memory.stat`]: `cache 7\ninactive_file 7\nhierarchical_memory_limit 1\ntotal_inactive_file ${inactiveBytes}\ntotal_active_file 9\n`,
  };
}

export function v2Cgroup(path: string, limit: number | string, usageBytes: number, inactiveBytes: number) {
  const folder = `/sys/fs/cgroup${path === "/" ? "" : path}`;
  return {
    [`${folder}/memory.max`]: `${limit}\n`,
    [`${folder}/memory.current`]: `${usageBytes}\n`,
    [`${folder}/memory.stat`]: `anon 5\nfile 6\ninactive_anon 3\ninactive_file ${inactiveBytes}\nactive_file 9\n`,
  };
}
