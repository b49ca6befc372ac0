/** Who else holds memory, from files of a made-up host and from a real program. */

import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { otherProcesses } from "../../src/monitor/other-processes.ts";
import { FixtureHost, MiB } from "./fixture-host.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The files of one process that holds so many MiB for itself, and as many shared. */
const files = (pid: number, name: string, parent: number, mib: number, state = "S") => ({
  [`/proc/${pid}/stat`]: `${pid} (${name}) ${state} ${parent} ${pid} ${pid} 0 -1\n`,
  [`/proc/${pid}/comm`]: `${name}\n`,
  [`/proc/${pid}/statm`]: `999999 ${mib * 512} ${mib * 256} 1 0 1 0\n`,
});

test("programs by name, the largest first, without conductor's own, small ones, and the first process", () => {
  const host = new FixtureHost({
    ...files(1, "systemd", 0, 500),
    ...files(20, "conductor", 1, 300),
    ...files(21, "voice", 20, 400),
    ...files(30, "firefox", 1, 200),
    ...files(31, "Web Content", 30, 90),
    ...files(32, "Web Content", 30, 150),
    ...files(40, "sshd", 1, 8),
    ...files(50, "gone", 1, 900, "Z"),
    "/proc/meminfo": "",
  });
  cleanups.push(() => host.remove());
  host.delete("/proc/40/comm"); // It ended meanwhile.
  expect(otherProcesses([20], 64 * MiB, host.root)).toEqual([
    { name: "Web Content", bytes: 240 * MiB },
    { name: "firefox", bytes: 200 * MiB },
  ]);
});

test("a real program", async () => {
  const folder = mkdtempSync(join(tmpdir(), "conductor-other-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const name = `held-${process.pid}`;
  symlinkSync(process.execPath, join(folder, name));
  const script =
    "const held = Buffer.alloc(100 * 2 ** 20, 1); console.log(held.length); process.stdin.resume()";
  const held = Bun.spawn([join(folder, name), "-e", script], { stdin: "pipe", stdout: "pipe" });
  cleanups.push(async () => {
    held.kill("SIGKILL");
    await held.exited;
  });
  await held.stdout.getReader().read();
  const other = otherProcesses([], 64 * MiB).find((each) => each.name === name);
  expect(other?.bytes).toBeGreaterThan(100 * MiB);
  expect(other?.bytes).toBeLessThan(200 * MiB);
  expect(otherProcesses([process.pid], 64 * MiB).map((each) => each.name)).not.toContain(name);
});
