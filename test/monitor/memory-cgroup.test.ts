/** Real processes in a real memory cgroup: what is read is what was allocated. */

import { afterEach, describe, expect, test } from "bun:test";
import { statfsSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import type { MemoryReading } from "../../src/monitor/budget.ts";
import { CgroupMeter } from "../../src/monitor/cgroup-memory.ts";
import { footprints } from "../../src/monitor/footprint.ts";
import { hasProc, ProcSource } from "../../src/monitor/host-source.ts";
import { cgroupOomKills, hostOomKills } from "../../src/monitor/oom-kills.ts";
import { privateBytes, pssBytes } from "../../src/monitor/process-memory.ts";
import { MiB } from "./fixture-host.ts";
import { Holder, TestCgroup, until } from "./held-memory.ts";

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const probe = TestCgroup.make("probe", 64 * MiB);
probe?.remove();
const canMakeCgroups = probe !== null;

function cgroupOf(limitBytes: number): TestCgroup {
  const cgroup = TestCgroup.make("monitor", limitBytes);
  if (!cgroup) throw new Error("no memory cgroup can be made");
  cleanups.push(() => cgroup.remove());
  return cgroup;
}

function startHolder(): Holder {
  const holder = new Holder();
  cleanups.push(() => holder.end());
  return holder;
}

describe.skipIf(!canMakeCgroups)("in a memory cgroup", () => {
  test("the budget is its limit, used grows by what was allocated, and the footprint is the same", async () => {
    const cgroup = cgroupOf(400 * MiB);
    const holder = startHolder();
    expect((await holder.ask<MemoryReading>("read")).cgroup).not.toBe(cgroup.folder);
    cgroup.add(holder.pid);
    const target = { plugin: "p", rootPids: [holder.pid], cgroups: [cgroup], rootPidsOutside: [] };
    const footprint = () => footprints([target])[0];

    // Filled beyond the share that the host has in use, so that the cgroup is what binds.
    await holder.ask("grow 120");
    const before = await holder.ask<MemoryReading>("read");
    expect(before).toMatchObject({ source: "cgroup", budgetBytes: 400 * MiB, cgroup: cgroup.folder });
    const heldBefore = footprint()?.bytes ?? Number.NaN;
    await holder.ask("grow 80");
    const after = await holder.ask<MemoryReading>("read");
    const grownBytes = after.usedBytes - before.usedBytes;
    expect(grownBytes).toBeGreaterThan(78 * MiB);
    expect(grownBytes).toBeLessThan(88 * MiB);
    expect(after.usedBytes).toBeGreaterThan(198 * MiB);
    expect(after.usedRatio).toBeCloseTo(after.usedBytes / (400 * MiB), 12);

    const held = footprint();
    expect(held).toMatchObject({ method: "cgroup", processes: 1 });
    expect(Math.abs((held?.bytes ?? 0) - heldBefore - 80 * MiB)).toBeLessThan(8 * MiB);
    expect(Math.abs((held?.bytes ?? 0) - after.usedBytes)).toBeLessThan(4 * MiB);
  });

  test("a file that is held open is read on when its cgroup was removed and made again", () => {
    const before = cgroupOf(64 * MiB);
    const meter = new CgroupMeter(before);
    cleanups.push(() => meter.close());
    expect(meter.limitBytes()).toBe(64 * MiB);
    before.remove();
    expect(() => meter.limitBytes()).toThrow("ENOENT");
    TestCgroup.make("monitor", 32 * MiB);
    expect(meter.limitBytes()).toBe(32 * MiB);
    before.remove();
    TestCgroup.make("monitor", 16 * MiB);
    expect(meter.limitBytes()).toBe(16 * MiB);
  });

  test("a limit that is rewritten is seen by the next reading", async () => {
    const cgroup = cgroupOf(400 * MiB);
    const holder = startHolder();
    cgroup.add(holder.pid);
    await holder.ask("grow 120");
    expect((await holder.ask<MemoryReading>("read")).budgetBytes).toBe(400 * MiB);
    cgroup.limit(300 * MiB);
    expect((await holder.ask<MemoryReading>("read")).budgetBytes).toBe(300 * MiB);
  });

  test("a kill by the kernel is counted, by the cgroup and by the host", async () => {
    const cgroup = cgroupOf(96 * MiB);
    const holder = startHolder();
    await holder.ask("grow 0");
    cgroup.add(holder.pid);
    expect(cgroupOomKills(cgroup)).toBe(0);
    const hostBefore = hostOomKills() ?? Number.NaN;
    holder.tell("grow 300");
    await holder.exited;
    expect(await until("the kill is counted", () => cgroupOomKills(cgroup) || null)).toBe(1);
    expect(hostOomKills()).toBeGreaterThan(hostBefore);
  });
});

describe.skipIf(!hasProc())("on this machine", () => {
  test("every part is read, and agrees with what the system says otherwise", async () => {
    const source = new ProcSource(null);
    cleanups.push(() => source.meter.close());
    const memory = source.memory();
    expect(memory.usedBytes).toBeGreaterThan(0);
    expect(memory.budgetBytes).toBeLessThanOrEqual(totalmem());
    expect(memory.usedRatio).toBe(memory.usedBytes / memory.budgetBytes);
    const disk = source.disk("/");
    const { blocks, bsize } = statfsSync("/");
    expect(disk?.totalBytes).toBe(blocks * bsize);
    expect(disk?.usedPercent).toBeGreaterThan(0);
    expect(disk?.usedPercent).toBeLessThanOrEqual(100);
    expect(source.load()?.load1).toBeLessThan(1_000);
    if (source.pressureMissingBecause === null)
      for (const kind of ["memory", "cpu", "io"] as const)
        expect(source.pressure(kind)?.somePercent).toBeLessThanOrEqual(100);

    expect(source.cpu()).toBe("first");
    // This process is busy from here on: at least its one processor's share of time is.
    const percent = await until("a tick of processor time passed", () => {
      const now = source.cpu();
      return now === "first" || now === 0 ? null : now;
    });
    expect(percent).toBeGreaterThan(0);
    expect(percent).toBeLessThanOrEqual(100);
    expect(cpus().length).toBeGreaterThan(0);
  });

  test("a process's share is at least its private part, and somebody gone has neither", () => {
    const share = pssBytes("self") ?? Number.NaN;
    const own = privateBytes("self") ?? Number.NaN;
    expect(own).toBeGreaterThan(MiB);
    expect(share).toBeGreaterThan(own * 0.9);
    expect(pssBytes(2 ** 30)).toBeNull();
    expect(privateBytes(2 ** 30)).toBeNull();
  });

  test("twenty thousand readings leave no file open, and once warm no memory behind", () => {
    const source = new ProcSource(null);
    const open = () => [...new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false })].length;
    // Not the proportional share: that grows when another process ends with which pages were shared.
    const held = () => privateBytes("self") ?? Number.NaN;
    const read = (times: number) => {
      for (let i = 0; i < times; i++) source.memory();
      Bun.gc(true);
    };
    const closed = open();
    read(20_000);
    const files = open();
    const growths = Array.from({ length: 3 }, () => {
      const bytes = held();
      read(20_000);
      return held() - bytes;
    });
    expect(open()).toBe(files);
    // 400 bytes a reading would show each time; what other tests left behind moves once.
    expect(Math.min(...growths)).toBeLessThan(8 * MiB);
    source.meter.close();
    expect(open()).toBe(closed);
  });
});
