/**
 * A shadow that is promoted by the evidence, and goes back for trouble: on a record of a day that the test makes, by the
 * compiled conductor in a memory cgroup of the test's own, which is killed while it replays for the first time.
 */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock } from "../../src/clock.ts";
import { loadConfig } from "../../src/config/load.ts";
import { silentLog } from "../../src/log.ts";
import { policyOf } from "../../src/scaler/policy.ts";
import { resolveLocation } from "../../src/storage/location.ts";
import { openStorage } from "../../src/storage/storage.ts";
import { recordDay } from "../conductor/recorded-day.ts";
import { cleanUpAfterEach } from "./clean-up.ts";
import { canMakeCgroups } from "./memory-cgroup.ts";
import { conductor as command } from "./one-command.ts";
import { MiB, PressedConductor } from "./pressed-conductor.ts";
import { alive, until } from "./running-conductor.ts";

const defer = cleanUpAfterEach();
const hourMs = 3_600_000;
const budgetBytes = 384 * MiB;
/** Later than the scaler's 80 %; its lines lie so close together that whatever fills memory fast comes over both. */
const late =
  "{ name: late, shed: 93%, margin: 1%, restore: 85%, emergency: 94%, dwell: 1s, putOff: { initial: 0s, max: 0s }, promotion: { after: 1d, betterBy: 1%, differences: 3 } }";

interface Listed {
  acting: { promoted: { shadow: string; by: string; reason: string; probationUntilAt: string } | null };
  shadows: { name: string; evidence: { enough: boolean; because: string } | null }[];
  history: { change: string; by: string; reason: string }[];
}

/** A folder with the state of a conductor that has watched `late` for two days. */
function watchedFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "conductor-e2e-"));
  const file = join(folder, "policies.yaml");
  writeFileSync(file, `scaler: { order: [first, hog, last] }\nshadow: [${late}]\n`);
  const [shadow] = loadConfig({ file, folder, environment: {} }).config.shadow;
  if (!shadow) throw new Error("no shadow");
  const clock = new SystemClock();
  const nowMs = clock.nowMs();
  mkdirSync(join(folder, "state"), { mode: 0o700 });
  const storage = openStorage({
    location: resolveLocation(join(folder, "state/conductor.db"), {}),
    retention: { samplesMs: 1e12, metricsMs: 1e12, decisionsMs: 1e12 },
    clock,
    log: silentLog,
  });
  recordDay(storage, nowMs, { budgetBytes, grows: "hog", stays: "last" });
  storage.shadows.watch("late", policyOf(shadow.settings), nowMs - 48 * hourMs);
  for (const hoursAgo of [20, 14, 8])
    storage.shadows.insert({
      shadow: "late",
      atMs: nowMs - hoursAgo * hourMs,
      usedRatio: 0.85,
      rule: "hold",
      reason: "nothing to do",
      actions: [],
      actingRule: "threshold",
      actingActions: [{ kind: "shed", plugin: "hog" }],
    });
  storage.close();
  return folder;
}

/** The process that replays for the conductor `pid`; null while there is none. */
function replayOf(pid: number): number | null {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || !existsSync(`/proc/${name}/stat`)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      if (parent === pid && readFileSync(`/proc/${name}/cmdline`, "utf8").includes("__replay-record"))
        return Number(name);
    } catch {}
  }
  return null;
}

/** The first of the events. */
async function announced(url: string): Promise<string> {
  const reader = (await fetch(url)).body?.getReader();
  let text = "";
  while (!text.includes("data:")) text += new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
  return text;
}

const start = (folder: string) =>
  PressedConductor.start({
    name: "promotion",
    budgetBytes,
    scaler: "policy: mission",
    config: `shadow: [${late}]\n`,
    hog: [{ bytes: Math.round(1.1 * budgetBytes), afterMs: 20 }],
    folder,
  });

describe.skipIf(!canMakeCgroups())("a shadow whose promotion asks for evidence", () => {
  test("is replayed beside the conductor, promoted with what it gains, and goes back when it does worse", async () => {
    const folder = watchedFolder();
    const killed = await start(folder);
    const child = await until("the record is replayed", 40_000, () => replayOf(killed.conductor.pid));
    await killed.conductor.kill();
    await until("the replay is gone with it", 5_000, async () => !(await alive(child)));
    await until("its plugins are gone too", 10_000, () => killed.cgroup.pids().length === 0);
    await killed.leave();

    const pressed = await start(folder);
    defer(() => pressed.end());
    const { conductor } = pressed;
    const listed = () => conductor.get<Listed>("/api/v1/scaling/shadows");
    const ask = (...args: string[]) =>
      command([...args, "--port", conductor.port], {
        cwd: folder,
        environment: { STATE_DIRECTORY: join(folder, "state") },
      });
    const promoted = await until("it acts", 60_000, async () => (await listed()).acting.promoted);
    const gains =
      /^watched for 48 h, 3 decisions differed, and it gains \d+\.\d\d points of weighted availability \(95 % interval 0*[1-9.]/;
    expect(promoted).toMatchObject({ shadow: "late", by: "evidence", reason: expect.stringMatching(gains) });
    const [logged] = conductor.logged("shadow.evidence");
    expect(logged).toMatchObject({ shadow: "late", enough: true, regret: { stretches: 4 } });
    const { replayMs, peakBytes } = logged as { replayMs: number; peakBytes: number };
    console.log(`the replay of a day took ${replayMs} ms and ${Math.round(peakBytes / MiB)} MiB at most`);
    const decisionOf = async (rule: string) => {
      const found = (await pressed.decisions()).find((each) => each.rule === rule);
      return (await ask("why", String(found?.id))).out;
    };
    expect(await decisionOf("promoted")).toMatch(
      /the shadow policy late acts in place of the configured one, by evidence: watched for 48 h[\s\S]*replayed +4 stretches of the record[\s\S]*acting +9\d\.\d % of weighted availability, \d+ sheds[\s\S]*the shadow +100\.0 % of weighted availability, 0 sheds[\s\S]*replay +took/,
    );
    expect((await ask("shadow")).out).toMatch(
      /^acting +shadow late since .* \(evidence: watched.*on probation until/,
    );
    expect(await announced(conductor.url("/api/v1/events?pattern=scaling.policy&last=5"))).toMatch(
      /"shadow":"late","change":"promoted","by":"evidence","reason":"watched for 48 h/,
    );
    expect(await (await fetch(conductor.url("/metrics"))).text()).toContain(
      'conductor_promotions_total{shadow="late",change="promoted"} 1',
    );

    // Over both of its lines at once. Where a reading came between them, there was no emergency, and it is done again.
    const trouble = await until("it goes back", 90_000, async () => {
      await pressed.settled();
      await pressed.press(0.93);
      return until("the conductor looks at it", 3_000, async () => {
        const [latest] = (await listed()).history;
        return latest?.change === "rolled-back" && latest;
      }).catch(() => null);
    });
    expect(trouble).toMatchObject({ by: "probation", reason: expect.stringContaining("emergency line") });
    const back = (await ask("shadow")).out;
    expect(back).toContain("acting    the configured policy (scaler)");
    expect(back).toMatch(
      /\nevidence {2}late at .*: it went back for trouble; with another policy, or by a person/,
    );
    expect(await decisionOf("rolled-back")).toContain("the configured policy acts again in place of late");
    expect((await listed()).acting.promoted).toBeNull();
  }, 240_000);
});
