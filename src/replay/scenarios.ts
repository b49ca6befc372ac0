/**
 * Hosts to try policies on: the four bundled plugins under one kind of pressure, different for each seed. Sizes are shares of
 * the budget, so that they press on any host alike.
 */

import { type Curve, flat, noise, together } from "./curve.ts";
import type { HostModel } from "./host.ts";
import { diurnal, leak, pulses, sawtooth } from "./patterns.ts";
import { between, type Range, seedOf, unitOf } from "./seeded.ts";
import type { PluginModel } from "./simulated-plugin.ts";

export const patternNames = ["leak", "step", "burst", "sawtooth", "diurnal", "mixed"] as const;
export type PatternName = (typeof patternNames)[number];

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** What a plugin usually takes to come and to go. */
export const usualTimes = { startMs: 2_000, stopMs: 300, reclaimMs: 100 } as const;

/** A stand-in for each bundled plugin, the first of the degradation order first: what it holds of the budget. */
const bundled = [
  { name: "voice", share: 0.16 },
  { name: "android", share: 0.12 },
  { name: "discord", share: 0.08 },
  { name: "stubs", share: 0.005 },
] as const;

/** What the rest of the host holds. */
const baseShare = 0.3;

export interface PressureOptions {
  seed: number;
  budgetBytes: number;
}

const noisy = (seed: number, bytes: number): Curve => together([flat(bytes), noise(seed, bytes * 0.01)]);

/** Grows by this share of the budget in an hour. */
export const leaking = ({ seed, budgetBytes }: PressureOptions, [least, most]: Range): Curve =>
  leak(seed, [least * budgetBytes, most * budgetBytes]);

/** A model is loaded, a cache is filled: up within seconds, down again after minutes to an hour. */
export const stepping = ({ seed, budgetBytes }: PressureOptions, [least, most]: Range): Curve =>
  pulses(seed, {
    everyMs: 2 * hourMs,
    chance: 0.5,
    bytes: [least * budgetBytes, most * budgetBytes],
    riseMs: [1_500, 6_000],
    holdMs: [5 * minuteMs, hourMs],
    fallMs: 1_000,
  });

/** Many requests at once: up within seconds, gone within two minutes. */
export const bursting = ({ seed, budgetBytes }: PressureOptions, [least, most]: Range): Curve =>
  pulses(seed, {
    everyMs: 20 * minuteMs,
    chance: 0.25,
    bytes: [least * budgetBytes, most * budgetBytes],
    riseMs: [2_000, 15_000],
    holdMs: [10_000, 90_000],
    fallMs: 5_000,
  });

/** Garbage that is collected every few minutes. */
export function collecting({ seed, budgetBytes }: PressureOptions, [least, most]: Range): Curve {
  const periodMs = Math.round(between(unitOf(seed, 1), [2 * minuteMs, 15 * minuteMs]));
  return sawtooth(seedOf(seed, 2), { periodMs, bytes: [least * budgetBytes, most * budgetBytes] });
}

/** More by day than by night. */
export const daily = ({ seed, budgetBytes }: PressureOptions, [least, most]: Range): Curve =>
  diurnal(
    Math.round(between(unitOf(seed, 1), [least, most]) * budgetBytes),
    Math.floor(unitOf(seed, 2) * dayMs),
  );

type Pressure = (options: PressureOptions, size: Range) => Curve;

/** What each pattern adds to which part of the host, and how much. `one`: a plugin by chance; `each`: all but the last. */
const pressures: Record<PatternName, readonly { on: "one" | "each" | "base"; of: Pressure; size: Range }[]> =
  {
    leak: [{ on: "one", of: leaking, size: [0.01, 0.06] }],
    step: [
      { on: "one", of: stepping, size: [0.1, 0.28] },
      { on: "base", of: stepping, size: [0.05, 0.15] },
    ],
    burst: [{ on: "each", of: bursting, size: [0.08, 0.2] }],
    sawtooth: [
      { on: "one", of: collecting, size: [0.1, 0.22] },
      { on: "one", of: collecting, size: [0.05, 0.15] },
    ],
    diurnal: [
      { on: "base", of: daily, size: [0.15, 0.3] },
      { on: "one", of: daily, size: [0.05, 0.12] },
    ],
    mixed: [
      { on: "base", of: daily, size: [0.05, 0.12] },
      { on: "one", of: leaking, size: [0.005, 0.03] },
      { on: "one", of: stepping, size: [0.05, 0.2] },
      { on: "each", of: bursting, size: [0.04, 0.12] },
      { on: "one", of: collecting, size: [0.03, 0.1] },
    ],
  };

/** The named kind of pressure alone, for a plugin of a file. */
export const pressureOf = (pattern: Exclude<PatternName, "mixed">): Pressure =>
  ({ leak: leaking, step: stepping, burst: bursting, sawtooth: collecting, diurnal: daily })[pattern];

export interface Span {
  beginMs: number;
  endMs: number;
}

/** The four bundled plugins, as they might be, with what the pattern does to them. Without one: calm. */
export function bundledPlugins(
  pattern: PatternName | null,
  { seed, budgetBytes }: PressureOptions,
): PluginModel[] {
  const added = additions(pattern, { seed, budgetBytes });
  return bundled.map(({ name, share }, index) => ({
    name,
    curve: together([noisy(seedOf(seed, 100 + index), share * budgetBytes), ...(added.get(index) ?? [])]),
    ...usualTimes,
  }));
}

/** A host under one kind of pressure. */
export function generatedHost(
  pattern: PatternName,
  { seed, budgetBytes, beginMs, endMs }: PressureOptions & Span,
): HostModel {
  const added = additions(pattern, { seed, budgetBytes }).get("base") ?? [];
  return {
    budgetBytes,
    base: together([noisy(seedOf(seed, 99), baseShare * budgetBytes), ...added]),
    plugins: bundledPlugins(pattern, { seed, budgetBytes }),
    beginMs,
    endMs,
  };
}

function additions(pattern: PatternName | null, { seed, budgetBytes }: PressureOptions) {
  const added = new Map<number | "base", Curve[]>();
  const add = (to: number | "base", curve: Curve) => added.set(to, [...(added.get(to) ?? []), curve]);
  const mostVictims = bundled.length - 1;
  (pattern === null ? [] : pressures[pattern]).forEach(({ on, of, size }, index) => {
    const part = (key: number) => ({ seed: seedOf(seed, 10 * index + key), budgetBytes });
    if (on === "base") add("base", of(part(0), size));
    else if (on === "one") add(Math.floor(unitOf(seed, index, 7) * mostVictims), of(part(1), size));
    else for (let plugin = 0; plugin < mostVictims; plugin++) add(plugin, of(part(2 + plugin), size));
  });
  return added;
}
