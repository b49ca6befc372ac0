/** doctor on the executable, and each of its checks on files of other hosts. */

import { describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  oomScoreSupport,
  portSupport,
  pressureSupport,
  stateSupport,
  swapSupport,
} from "../../src/cli/doctor-checks.ts";
import { doctorText, type SupportStatus, statusOf } from "../../src/cli/doctor-text.ts";
import type { Support } from "../../src/plugins/enforcement.ts";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor } from "../e2e/one-command.ts";

const defer = cleanUpAfterEach();
const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

interface Told {
  ok: boolean;
  checks: (Support & { status: SupportStatus })[];
}

const checked = [
  "limits.memory",
  "limits.cpu",
  "limits.processes",
  "permissions.files",
  "permissions.net",
  "permissions.net (port)",
  "permissions.user",
  "permissions.privileges",
  "permissions.sandbox",
  "pressure",
  "swap",
  "oom_score_adj",
  "state folder",
  "http port",
];

describe("the executable", () => {
  test("tells each check as JSON, with exit code 1 where something is missing, and makes no state folder", async () => {
    const cwd = scratchFolder(defer);
    const { code, out, err } = await conductor(["doctor", "-o", "json"], { cwd, environment: { HOME: cwd } });
    const { ok, checks } = JSON.parse(out) as Told;
    expect(err).toBe("");
    expect(checks.map(({ what }) => what)).toEqual(expect.arrayContaining(checked));
    expect(ok).toBe(checks.every(({ missing }) => missing === null));
    expect(code).toBe(ok ? 0 : 1);
    for (const check of checks) expect(check.status).toBe(statusOf(check));
    expect(readdirSync(cwd)).toEqual([]);
  });

  test.skipIf(!isRoot)(
    "as an ordinary user it says what it lacks and what would grant it, in 100 columns",
    async () => {
      const cwd = scratchFolder(defer);
      chmodSync(cwd, 0o755);
      const wrap = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
      const { code, out } = await conductor(["doctor"], { cwd, wrap, environment: { HOME: cwd } });
      expect(code).toBe(1);
      for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
      expect(out).toMatch(/^partly {3}limits\.memory +statm watch$/m);
      expect(out).toMatch(/^partly {3}limits\.cpu +nice 10$/m);
      expect(out).toMatch(/^missing {2}limits\.processes /m);
      expect(out).toMatch(/^missing {2}permissions\.user +plugins run as conductor's own user$/m);
      expect(out).toMatch(/^missing {2}state folder +.* is not writable \(EACCES\)$/m);
      expect(out).toContain("StateDirectory=conductor");
      expect(out).toContain("Delegate=yes");
    },
  );
});

describe("the checks", () => {
  test("a port is free, taken, or a conductor's", async () => {
    const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
    const own = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({ status: "ok" }) });
    const [otherPort = 0, ownPort = 0] = [other.port, own.port];
    try {
      expect(await portSupport("127.0.0.1", otherPort)).toMatchObject({
        mechanism: null,
        missing: `127.0.0.1:${otherPort} is taken by another program`,
      });
      const answers = `a conductor answers at 127.0.0.1:${ownPort}`;
      expect(await portSupport("127.0.0.1", ownPort)).toMatchObject({ mechanism: answers, missing: null });
    } finally {
      await Promise.all([other.stop(true), own.stop(true)]);
    }
    const free = await portSupport("127.0.0.1", otherPort);
    expect(free).toMatchObject({ mechanism: `127.0.0.1:${otherPort} is free`, missing: null });
    // And it is still free afterwards.
    expect(await portSupport("127.0.0.1", otherPort)).toEqual(free);
  });

  test("pressure, swap and the kernel's rank are read from files", () => {
    const folder = scratchFolder(defer);
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const psi =
      "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
    expect(pressureSupport(file("psi", psi)).missing).toBeNull();
    expect(pressureSupport(join(folder, "none")).remedy).toContain("psi=1");
    const meminfo = (kib: number) =>
      `MemTotal: 8 kB\nMemAvailable: 8 kB\nSwapTotal: ${kib} kB\nSwapFree: 0 kB\n`;
    expect(swapSupport(file("with", meminfo(2 ** 21))).mechanism).toContain("2.00 GiB");
    expect(swapSupport(file("without", meminfo(0))).mechanism).toBe("none, and none is needed");
    const ranked = (score: string, capabilities: string) => {
      file("oom_score_adj", `${score}\n`);
      file("status", `Name:\tx\nCapEff:\t${capabilities}\n`);
      return oomScoreSupport(folder);
    };
    expect(ranked("-500", "0").mechanism).toBe("-500: the kernel kills conductor late");
    expect(ranked("0", "0000000001000000")).toMatchObject({ missing: null });
    expect(ranked("0", "000001ffeeffffff")).toMatchObject({
      mechanism: null,
      missing: expect.stringContaining("it is 0 and may not be lowered"),
      remedy: expect.stringContaining("OOMScoreAdjust="),
    });
    expect(oomScoreSupport(join(folder, "none")).missing).toBe("this system has no oom_score_adj");
  });

  test("the state folder is the first that can be written, which need not be there yet", () => {
    const folder = scratchFolder(defer);
    expect(stateSupport(undefined, { STATE_DIRECTORY: "/proc/none", HOME: folder })).toMatchObject({
      mechanism: join(folder, ".local/state/conductor"),
      missing: null,
    });
    expect(stateSupport(join(folder, "a/b/c.db"), {})).toMatchObject({ mechanism: join(folder, "a/b") });
    expect(stateSupport(":memory:", {}).missing).toBeNull();
    expect(stateSupport(undefined, {}).missing).toBe("no folder is named: the state is kept in memory");
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("the text is aligned, wrapped, and silent about systemd when all is there", () => {
  const there: Support = { what: "limits.memory", mechanism: "cgroup v2", missing: null, remedy: null };
  expect(doctorText([there])).toBe("ok       limits.memory  cgroup v2\n\nAll 1 are there.");
  const long = "word ".repeat(30).trim();
  const partly = { what: "limits.cpu", mechanism: "nice 10", missing: long, remedy: "grant it" };
  const lines = doctorText([there, partly, { ...partly, mechanism: null }]).split("\n");
  expect(lines.slice(0, 3)).toEqual([
    "ok       limits.memory  cgroup v2",
    "partly   limits.cpu     nice 10",
    `${" ".repeat(24)}${"word ".repeat(15).trim()}`,
  ]);
  expect(lines[4]).toBe(`${" ".repeat(24)}=> grant it`);
  expect(lines[5]).toStartWith("missing  limits.cpu     word");
  expect(lines).toContain("    Delegate=yes");
  expect(lines).toContain("    KillMode=mixed");
});
