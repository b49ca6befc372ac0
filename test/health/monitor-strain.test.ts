/** Health checks while memory is short, and what a beat of the loop costs. */

import { expect, test } from "bun:test";
import { sparseUnderStrain } from "../../src/conductor/make-health.ts";
import { intervalMs, monitor } from "./monitored.ts";

const names = ["voice", "android", "discord", "stubs"];

test("the plugins that are dispensable are checked in every third round, not all in the same, the others as ever", async () => {
  let strained = true;
  const early = new Set(["voice", "android"]);
  const { clock, probe, subject } = monitor(names, { sparse: (plugin) => strained && early.has(plugin) });
  const checks = () => names.map((name) => probe.starts.get(name)?.length ?? 0);
  subject.start();
  await clock.advance(9 * intervalMs - 1);
  expect(checks()).toEqual([3, 3, 9, 9]);
  const roundsOf = (name: string) =>
    probe.starts.get(name)?.map((startMs) => Math.floor(startMs / intervalMs) % 3);
  expect(roundsOf("voice")).toEqual([0, 0, 0]);
  expect(roundsOf("android")).toEqual([2, 2, 2]);
  strained = false;
  await clock.advance(3 * intervalMs);
  expect(checks()).toEqual([6, 6, 12, 12]);
  subject.stop();
});

test("under strain an exit is told at once, and shows a plugin that is not checked often", async () => {
  const { clock, subject, of, results } = monitor(names, { sparse: () => true });
  subject.start();
  await clock.advance(1);
  subject.processExited("android");
  expect(of("android")?.status).toBe("failed");
  expect(results.at(-1)).toMatchObject({ plugin: "android", failure: "exited" });
  subject.stop();
});

test("each beat is told, with what it took of the loop and not of the answers", async () => {
  const beats: number[] = [];
  const { clock, probe, subject } = monitor(names, { beaten: (seconds) => void beats.push(seconds) });
  probe.behaviour.set("voice", "hang");
  subject.start();
  await clock.advance(intervalMs);
  expect(beats.length).toBeGreaterThanOrEqual(names.length);
  expect(Math.max(...beats)).toBe(0);
  subject.stop();
});

test("strain is memory at or over the shed line; dispensable the first half of the order, and what is not in it", () => {
  const policy = { order: names, shedRatio: 0.8 };
  const at = (usedBytes: number | null) =>
    sparseUnderStrain(
      () => (usedBytes === null ? null : { usedBytes, budgetBytes: 100 }),
      () => policy,
    );
  const asked = [...names, "another"];
  expect(asked.map(at(80))).toEqual([true, true, false, false, true]);
  for (const usedBytes of [79, null]) expect(asked.some(at(usedBytes))).toBe(false);
});
