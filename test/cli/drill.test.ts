/** `conductor drill` as a user runs it: what it tells, what it refuses, and that nothing is left of it. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checkHeadroom, pidsBelow } from "../../src/cli/drill/place.ts";
import { leastHogBytes, sceneNames, sceneOf, sizesFor } from "../../src/cli/drill/scenes.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { canMakeCgroups } from "../e2e/memory-cgroup.ts";
import { conductor } from "../e2e/one-command.ts";
import { executable, until } from "../e2e/running-conductor.ts";

const MiB = 2 ** 20;
const defer = cleanUpAfterEach();

describe("the sizes of a drill", () => {
  test("the hog alone brings the use over every emergency line, and the limit is never near", () => {
    const sizes = sizesFor(64 * MiB, 32 * MiB);
    expect((sizes.hogBytes + sizes.restBytes) / sizes.budgetBytes).toBeGreaterThan(0.97);
    expect(sizes.limitBytes).toBeGreaterThan(1.5 * sizes.budgetBytes);
  });

  test("beside the least hog, what rests is under the restore line of mission", () => {
    const restBytes = 40 * MiB;
    expect(restBytes / sizesFor(leastHogBytes(restBytes), restBytes).budgetBytes).toBeLessThan(0.65);
  });

  test.each([...sceneNames])(
    "%s ends over the emergency line, and asks for no more than the hog may hold",
    (name) => {
      const sizes = sizesFor(64 * MiB, 32 * MiB);
      const { steps } = sceneOf(name, sizes);
      const last = steps.at(-1)?.bytes ?? 0;
      expect((last + sizes.restBytes) / sizes.budgetBytes).toBeGreaterThan(0.97);
      expect(Math.max(...steps.map(({ bytes }) => bytes))).toBeLessThanOrEqual(sizes.hogBytes);
    },
  );
});

test("without room on the host it is refused, with what to do", () => {
  expect(() => checkHeadroom(64 * MiB, 255 * MiB)).toThrow(
    "not enough free memory for a drill of 64.0 MiB: 255 MiB are free, 256 MiB (4 times the size) are needed; take a smaller --size, or stop something first",
  );
  expect(() => checkHeadroom(64 * MiB, 256 * MiB)).not.toThrow();
});

test("a cgroup that goes while its processes are listed holds none: the guard removes them beside the cleaner", () => {
  const folder = scratchFolder(defer);
  for (const name of ["plugin/leaf", "going"]) mkdirSync(join(folder, name), { recursive: true });
  for (const [place, pids] of [
    [".", "11\n12\n"],
    ["plugin", ""],
    ["plugin/leaf", "13\n"],
  ] as const)
    writeFileSync(join(folder, place, "cgroup.procs"), pids);
  expect(pidsBelow(folder)).toEqual([11, 12, 13]);
  expect(pidsBelow(join(folder, "gone"))).toEqual([]);
});

/** What a drill of process `pid` has made and is still there. */
function leftBy(pid: number, cgroup: string | null): string[] {
  const files = readdirSync(tmpdir()).filter((name) => name.startsWith(`conductor-drill-${pid}-`));
  return cgroup !== null && existsSync(cgroup) ? [...files, cgroup] : files;
}

describe.skipIf(!canMakeCgroups())("where a memory cgroup can be made", () => {
  test("a burst is shed and restored, and told in numbers", async () => {
    const cwd = scratchFolder(defer);
    const { code, out, err } = await conductor(["drill", "burst", "-o", "json"], { cwd, timeoutMs: 50_000 });
    const { ok, drills } = JSON.parse(out);
    const [report] = drills;
    expect([report.problems, report.kernelKills]).toEqual([[], 0]);
    expect(report.shed).toContain("hog");
    expect(report.shed).not.toContain("last");
    expect(report.backBytes).toBeGreaterThan(30 * MiB);
    expect(report.restoreMs).toBeGreaterThan(0);
    expect([code, ok, drills.length]).toEqual([0, true, 1]);
    expect(readdirSync(cwd)).toEqual([]);
    const cgroup = /^drill in (\S+):/.exec(err)?.[1] ?? "";
    expect(existsSync(dirname(cgroup))).toBe(false);
  }, 60_000);

  test.each(["SIGINT", "SIGKILL"] as const)(
    "nothing is left after %s",
    async (signal) => {
      const child = Bun.spawn([executable, "drill", "leak"], {
        cwd: scratchFolder(defer),
        stdout: "ignore",
        stderr: "pipe",
      });
      let text = "";
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        if (!text.includes("leak:")) continue;
        child.kill(signal);
        break;
      }
      const cgroup = dirname(/^drill in (\S+):/.exec(text)?.[1] ?? "");
      expect(existsSync(cgroup)).toBe(true);
      expect(leftBy(child.pid, null)).toHaveLength(1);
      expect(await child.exited).toBe(signal === "SIGINT" ? 130 : 137);
      await until("all is gone", 15_000, () => leftBy(child.pid, cgroup).length === 0);
    },
    60_000,
  );
});
