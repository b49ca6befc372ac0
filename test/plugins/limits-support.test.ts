/** What a host could enforce, found without leaving anything behind: on trees of files, and here. */

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CgroupPlaces } from "../../src/plugins/cgroup-place.ts";
import { noCgroupPlaces } from "../../src/plugins/cgroup-place.ts";
import { ownCgroupPlaces } from "../../src/plugins/limits.ts";
import { limitsSupport } from "../../src/plugins/limits-support.ts";

const names = ["limits.memory", "limits.cpu", "limits.processes"];

function version2(controllers: string, pids: readonly number[]) {
  const folder = mkdtempSync(join(tmpdir(), "cgroup2-"));
  writeFileSync(join(folder, "cgroup.controllers"), `${controllers}\n`);
  writeFileSync(join(folder, "cgroup.type"), "domain\n");
  writeFileSync(join(folder, "cgroup.subtree_control"), "\n");
  writeFileSync(join(folder, "cgroup.procs"), pids.map((pid) => `${pid}\n`).join(""));
  const place = { version: 2, folder } as const;
  const places: CgroupPlaces = { memory: place, cpu: place, pids: place };
  return { folder, places, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

test("without cgroups each limit says what stands in for it", () => {
  const found = limitsSupport(noCgroupPlaces);
  expect(found.map(({ what, mechanism }) => [what, mechanism])).toEqual([
    ["limits.memory", "statm watch"],
    ["limits.cpu", "nice 10"],
    ["limits.processes", null],
  ]);
  expect(found[2]?.missing).toBe("no pids cgroup is mounted: processes are not limited");
  for (const { remedy } of found) expect(remedy).toContain("mount cgroup version 2");
});

describe("version 2", () => {
  test("of a service with all controllers holds all limits, and is left as it was", () => {
    using tree = version2("cpu memory pids", [process.pid]);
    const before = readdirSync(tree.folder);
    const held = { mechanism: "cgroup v2", missing: null, remedy: null };
    expect(limitsSupport(tree.places)).toEqual(names.map((what) => ({ what, ...held })));
    expect(readdirSync(tree.folder)).toEqual(before);
  });

  test("of a login session is shared with others", () => {
    using tree = version2("cpu memory pids", [process.pid, 1]);
    for (const { missing, remedy } of limitsSupport(tree.places)) {
      expect(missing).toContain("holds another process, so limits cannot be set below it");
      expect(remedy).toBe("run conductor as a service of its own");
    }
  });

  test("with a controller missing names the setting that delegates it", () => {
    using tree = version2("memory pids", [process.pid]);
    const [memory, cpu, processes] = limitsSupport(tree.places);
    expect([memory?.mechanism, processes?.mechanism]).toEqual(["cgroup v2", "cgroup v2"]);
    expect(cpu).toEqual({
      what: "limits.cpu",
      mechanism: "nice 10",
      missing: `${tree.folder} has no cpu controller: a plugin yields to others, and has no quota`,
      remedy: "for systemd set Delegate=yes, or Delegate=cpu memory pids",
    });
  });
});

test("here nothing is left behind, whatever is found", () => {
  const folders = Object.values(ownCgroupPlaces()).flatMap((place) => place?.folder ?? []);
  expect(limitsSupport().map(({ what }) => what)).toEqual(names);
  for (const folder of folders)
    expect(readdirSync(folder).filter((name) => name.startsWith("conductor-probe"))).toEqual([]);
});
