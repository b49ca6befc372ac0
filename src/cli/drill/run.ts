/** One drill: pressure on the small conductor, watched from outside every two milliseconds. */

import { type Clock, sleep } from "../../clock.ts";
import { isAlive, readProcess } from "../../plugins/proc-table.ts";
import { signalProcess } from "../../plugins/process-family.ts";
import { isListening } from "./hog.ts";
import type { DrillPlace } from "./place.ts";
import type { Scene, Sizes } from "./scenes.ts";
import type { DecisionView, Subject } from "./subject.ts";

/** What came of one drill; null: not known. */
export interface SceneReport {
  scene: string;
  what: string;
  ok: boolean;
  /** Empty when all went well. */
  problems: string[];
  /** The rules that shed, in their order. */
  rules: string[];
  shed: string[];
  /** As conductor tells it of the first shed: from the crossing of its line to the reading that saw it; null: it was shed before. */
  noticedMs: number | null;
  /** From that reading to the first signal. */
  signalMs: number | null;
  /** As seen from outside: how long the use was at or over the emergency line. */
  overEmergencyMs: number;
  /** From the first order to stop to the end of the last process. */
  reclaimMs: number | null;
  /** From there until every plugin ran again. */
  restoreMs: number | null;
  expectedBytes: number | null;
  backBytes: number | null;
  peakBytes: number;
  budgetBytes: number;
  kernelKills: number;
}

const watchMs = 2;
const listenMs = 20_000;
/** From the end of the hog's steps on. */
const shedWithinMs = 10_000;
const restoreWithinMs = 25_000;
/** From the crossing of the emergency line to the first signal. */
const mostSignalMs = 200;

interface Seen {
  shed: boolean;
  peakBytes: number;
  overEmergencyMs: number;
}

export interface Drill {
  clock: Clock;
  place: DrillPlace;
  subject: Subject;
  scene: Scene;
  sizes: Sizes;
  emergencyRatio: number;
  signal: AbortSignal;
  say(text: string): void;
}

/** Runs it on a subject that is ready; the subject runs on. Throws when it was interrupted or the conductor failed. */
export async function runDrill(drill: Drill): Promise<SceneReport> {
  const { place, subject, scene, sizes, signal, say } = drill;
  const hogPid = await subject.pidOf("hog");
  await subject.until("the hog listens", listenMs, signal, async () => isListening(hogPid));
  say(`${scene.name}: ${scene.what}`);
  const seen = await press(drill, hogPid);
  const problems: string[] = [];
  if (!seen.shed) problems.push("the hog was not shed");
  const restored = seen.shed ? await untilRestored(drill, problems) : null;
  const decisions = await subject.decisions();
  const { endedAtMs, ...told } = toldBy(decisions);
  const kernelKills = place.kernelKills();
  if (kernelKills > 0) problems.push(`the kernel killed ${kernelKills}`);
  const emergency = decisions.find(({ rule }) => rule === "emergency")?.actions[0];
  const toSignalMs = (emergency?.noticedMs ?? 0) + (emergency?.signalMs ?? 0);
  if (toSignalMs > mostSignalMs)
    problems.push(
      `${Math.round(toSignalMs)} ms from the emergency line to the first signal, more than ${mostSignalMs}`,
    );
  return {
    scene: scene.name,
    what: scene.what,
    ok: problems.length === 0,
    problems,
    ...told,
    overEmergencyMs: seen.overEmergencyMs,
    restoreMs: restored === null || endedAtMs === null ? null : restored - endedAtMs,
    peakBytes: seen.peakBytes,
    budgetBytes: sizes.budgetBytes,
    kernelKills,
  };
}

/** Lets the hog loose, and watches until it is gone. */
async function press(
  { clock, place, scene, sizes, emergencyRatio, signal }: Drill,
  hogPid: number,
): Promise<Seen> {
  const meter = place.meter();
  const hog = readProcess(hogPid);
  if (!hog) throw new Error("the hog ended before it was let loose");
  const emergencyBytes = emergencyRatio * sizes.budgetBytes;
  const stepsMs = scene.steps.reduce((sum, { afterMs }) => sum + afterMs, 0);
  const seen: Seen = { shed: false, peakBytes: 0, overEmergencyMs: 0 };
  let beforeMs = clock.monotonicMs();
  const endMs = beforeMs + stepsMs + shedWithinMs;
  try {
    signalProcess(hogPid, "SIGUSR1");
    for (let over = false; clock.monotonicMs() < endMs; ) {
      const usedBytes = meter.usedBytes() ?? 0;
      const nowMs = clock.monotonicMs();
      if (over) seen.overEmergencyMs += nowMs - beforeMs;
      beforeMs = nowMs;
      over = usedBytes >= emergencyBytes;
      seen.peakBytes = Math.max(seen.peakBytes, usedBytes);
      seen.shed = !isAlive(hog);
      if (seen.shed && !over) return seen;
      await sleep(clock, watchMs, signal);
    }
    return seen;
  } finally {
    meter.close();
  }
}

/** Waits until all run again; yields the wall-clock time, null with a problem noted when they do not. */
async function untilRestored(
  { clock, subject, signal, say }: Drill,
  problems: string[],
): Promise<number | null> {
  say("  shed; waiting for the restore");
  try {
    await subject.until("every plugin is restored", restoreWithinMs, signal, async () => {
      const { plugins } = await subject.get<{ plugins: { state: string }[] }>("/api/v1/plugins");
      const restores = (await subject.decisions()).filter(({ rule }) => rule === "restore");
      return restores.length > 0 && plugins.every(({ state }) => state === "ready");
    });
    return clock.nowMs();
  } catch (error) {
    if (signal.aborted) throw error;
    problems.push(`not restored within ${restoreWithinMs / 1_000} s: ${await subject.verdict()}`);
    return null;
  }
}

/** What the record tells of the sheds; of several, bytes and durations together. */
function toldBy(decisions: readonly DecisionView[]) {
  const sheds = decisions.filter(({ actions }) => actions.some(({ kind }) => kind === "shed"));
  const actions = sheds.flatMap((decision) => decision.actions).filter(({ kind }) => kind === "shed");
  const [first] = actions;
  const sum = (values: readonly (number | null | undefined)[]): number | null =>
    values.some((value) => typeof value === "number")
      ? values.reduce<number>((all, value) => all + (value ?? 0), 0)
      : null;
  const ends = actions.flatMap(({ startedAt, durationMs }) =>
    startedAt === undefined || durationMs === undefined ? [] : [Date.parse(startedAt) + durationMs],
  );
  const endedAtMs = ends.length > 0 ? Math.max(...ends) : null;
  const startedAtMs = first?.startedAt === undefined ? null : Date.parse(first.startedAt);
  return {
    rules: sheds.map(({ rule }) => rule),
    shed: actions.map(({ plugin }) => plugin),
    noticedMs: first?.noticedMs ?? null,
    signalMs: first?.signalMs ?? null,
    reclaimMs: endedAtMs === null || startedAtMs === null ? null : endedAtMs - startedAtMs,
    endedAtMs,
    expectedBytes: sum(actions.map(({ expectedBytes }) => expectedBytes)),
    backBytes: sum(actions.map(({ actualBytes }) => actualBytes)),
  };
}
