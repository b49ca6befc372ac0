/** What a plugin holds, from files of made-up hosts and from real process trees. */

import { afterEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { cgroupFootprint, type FootprintTarget, footprints } from "../../src/monitor/footprint.ts";
import { parseProcessStat, processTrees, treesAmong } from "../../src/monitor/process-tree.ts";
import { FixtureHost, MiB, v1Cgroup, v2Cgroup } from "./fixture-host.ts";
import { Holder, isAlive, until } from "./held-memory.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test.each([
  ["7 (sh) S 1 7 7 0 -1\n", { pid: 7, parent: 1, group: 7, session: 7 }],
  ["8 (a) b) (c) R 7 6 5 0 -1\n", { pid: 8, parent: 7, group: 6, session: 5 }],
  ["9 (new\nline) D 7 6 5 0\n", { pid: 9, parent: 7, group: 6, session: 5 }],
  ["10 (dead) Z 7 6 5 0\n", null],
  ["11 (cut) S 7", null],
  ["12 (cut", null],
  ["x (y) S 1 2 3 4\n", null],
  ["13 (bad) S a b c 4\n", null],
  ["", null],
])("/proc/PID/stat %j", (text, expected) => {
  expect(parseProcessStat(text)).toEqual(expected);
});

describe("a tree", () => {
  const row = (pid: number, parent: number, group = pid, session = group) => ({
    pid,
    parent,
    group,
    session,
  });
  const table = [
    row(1, 0),
    row(10, 1), // a root that leads its session
    row(11, 10, 10),
    row(12, 11, 12), // a grandchild with a session of its own
    row(13, 1, 10), // its parent ended; the session is still the root's
    row(14, 1, 14, 10), // as well, with a group of its own
    row(15, 1), // somebody else
    row(20, 1, 15, 15), // a root that leads nothing
    row(21, 20, 15, 15),
  ];
  test.each([
    ["descendants and those of the session", [10], [10, 11, 12, 13, 14]],
    ["a root that leads nothing: descendants only", [20], [20, 21]],
    ["two roots", [11, 20], [11, 12, 20, 21]],
    ["a root that is gone, whose session lives", [16], []],
    ["no root", [], []],
  ])("is %s", (_, roots, expected) => {
    expect(treesAmong(table, [roots])[0]?.toSorted((a, b) => a - b)).toEqual(expected);
  });

  test("ends although parents go in a circle, each process once, within the table", () => {
    const pid = fc.integer({ min: 1, max: 12 });
    const rows = fc.array(fc.record({ pid, parent: pid, group: pid, session: pid }), { maxLength: 20 });
    fc.assert(
      fc.property(rows, fc.array(pid, { maxLength: 3 }), (all, roots) => {
        const [members = []] = treesAmong(all, [roots]);
        const known = new Set(all.map((each) => each.pid));
        expect(new Set(members).size).toBe(members.length);
        for (const member of members) expect(known.has(member)).toBe(true);
        for (const each of all) if (members.includes(each.parent)) expect(members).toContain(each.pid);
      }),
    );
  });
});

describe("on a host of files", () => {
  const stat = (pid: number, parent: number, session = pid) =>
    `${pid} (x) S ${parent} ${session} ${session} 0\n`;
  const pss = (mib: number) => `0-f [rollup]\nRss: 1 kB\nPss:   ${mib * 1024} kB\n`;
  const statm = (residentMib: number, sharedMib: number) =>
    `9999 ${residentMib * 256} ${sharedMib * 256} 1 0 9 0\n`;
  const process = (pid: number, parent: number, session: number, files: Record<string, string>) =>
    Object.fromEntries(
      Object.entries({ stat: stat(pid, parent, session), ...files }).map(([name, text]) => [
        `/proc/${pid}/${name}`,
        text,
      ]),
    );
  const files = {
    ...process(10, 1, 10, { smaps_rollup: pss(30), statm: statm(50, 10) }),
    ...process(11, 10, 11, { smaps_rollup: pss(5), statm: statm(50, 10) }),
    ...process(20, 1, 20, { smaps_rollup: pss(7), statm: statm(50, 10) }),
    ...process(21, 20, 20, { statm: statm(12, 2) }), // its smaps_rollup cannot be read
    ...process(30, 1, 30, {}), // ended since the scan
    "/proc/uptime": "1\n",
    ...v1Cgroup("/one", 9, 40 * MiB, 4 * MiB),
    "/sys/fs/cgroup/memory/one/cgroup.procs": "10\n",
    "/sys/fs/cgroup/memory/one/sub/cgroup.procs": "11\n12\n",
    ...v2Cgroup("/two", "max", 9 * MiB, MiB),
    "/sys/fs/cgroup/two/cgroup.procs": "10\n11\n",
    ...v1Cgroup("/empty", 9, MiB, 0),
    "/sys/fs/cgroup/memory/empty/cgroup.procs": "",
  };
  let host: FixtureHost;
  const target = (rootPids: number[], version: 1 | 2 = 1, cgroup?: string): FootprintTarget => ({
    plugin: "p",
    rootPids,
    cgroups: cgroup === undefined ? [] : [{ version, folder: `${host.root}/sys/fs/cgroup${cgroup}` }],
    rootPidsOutside: cgroup === undefined ? rootPids : [],
  });
  const measured = (bytes: number, method: string, processes: number) => ({
    plugin: "p",
    bytes,
    method,
    processes,
  });

  test("each way of measuring is told, and what cannot be measured is left out", () => {
    host = new FixtureHost(files);
    cleanups.push(() => host.remove());
    const read = (each: FootprintTarget) => footprints([each], host.root)[0] ?? null;
    expect(read(target([10], 1, "/memory/one"))).toEqual(measured(36 * MiB, "cgroup", 3) as never);
    expect(read(target([10], 2, "/two"))).toEqual(measured(8 * MiB, "cgroup", 2) as never);
    expect(read(target([10]))).toEqual(measured(35 * MiB, "pss", 2) as never);
    expect(read(target([20]))).toEqual(measured(17 * MiB, "private", 2) as never);
    // No process is in the cgroup: they were never moved there.
    expect(read(target([10], 1, "/memory/empty"))).toEqual(measured(35 * MiB, "pss", 2) as never);
    expect(read(target([10], 1, "/memory/gone"))).toEqual(measured(35 * MiB, "pss", 2) as never);
    expect(read(target([], 1, "/memory/empty"))).toBeNull();
    expect(read(target([30]))).toBeNull();
    expect(read(target([99]))).toBeNull();
    expect(footprints([target([99]), target([10]), target([20])], host.root)).toHaveLength(2);
  });

  test("several instances of a plugin are added up, whatever holds each", () => {
    host = new FixtureHost(files);
    cleanups.push(() => host.remove());
    const folder = (name: string) => `${host.root}/sys/fs/cgroup${name}`;
    const one = { version: 1, folder: folder("/memory/one") } as const;
    const two = { version: 2, folder: folder("/two") } as const;
    const gone = { version: 2, folder: folder("/gone") } as const;
    const both = { plugin: "p", rootPids: [10, 20], cgroups: [one, two], rootPidsOutside: [] };
    const read = (each: FootprintTarget) => footprints([each], host.root)[0] ?? null;
    expect(read(both)).toEqual(measured(44 * MiB, "cgroup", 5) as never);
    expect(cgroupFootprint(both)).toEqual(measured(44 * MiB, "cgroup", 5) as never);
    const partly = { plugin: "p", rootPids: [10, 20], cgroups: [one], rootPidsOutside: [20] };
    expect(read(partly)).toEqual(measured(53 * MiB, "private", 5) as never);
    expect(cgroupFootprint(partly)).toBeNull();
    // One that cannot be read: all of them by their trees, so that none is left out or counted twice.
    expect(read({ ...both, cgroups: [one, gone] })).toEqual(measured(52 * MiB, "private", 4) as never);
  });
});

test("a real tree is the process, its child in another session, that one's child, and an orphan", async () => {
  const root = new Holder();
  const started: number[] = [];
  cleanups.push(() => until("all have ended", () => !started.some(isAlive)));
  cleanups.push(() => root.end());
  const child = await root.ask<number>("child");
  const orphan = await root.ask<number>("orphan");
  started.push(child, orphan);
  cleanups.push(() => {
    if (isAlive(orphan)) process.kill(orphan, "SIGKILL");
  });
  const stranger = new Holder();
  cleanups.push(() => stranger.end());
  await stranger.ask("grow 0");
  expect(new Set(processTrees([[root.pid]])[0])).toEqual(new Set([root.pid, child, orphan]));

  const target = { plugin: "p", rootPids: [root.pid], cgroups: [], rootPidsOutside: [root.pid] };
  const bytes = () => footprints([target])[0]?.bytes ?? Number.NaN;
  const before = footprints([target])[0];
  expect(before).toMatchObject({ method: "pss", processes: 3 });
  await root.ask("grow 40");
  const grown = bytes() - (before?.bytes ?? 0);
  expect(grown).toBeGreaterThan(38 * MiB);
  expect(grown).toBeLessThan(48 * MiB);
});
