/** The ways in which memory comes under pressure. What depends on the process begins anew with it, what the world does not. */

import type { Curve, Life } from "./curve.ts";
import { between, type Range, unitOf } from "./seeded.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Grows from its start on, by another rate in each life; never stops. */
export function leak(seed: number, bytesPerHour: Range): Curve {
  const rate = ({ index }: Life) => between(unitOf(seed, index), bytesPerHour) / hourMs;
  return {
    bytesAt: (atMs, life) => Math.max(0, atMs - life.bornMs) * rate(life),
    knotAfter: (atMs, life) => (atMs < life.bornMs ? life.bornMs : Infinity),
  };
}

export interface PulseOptions {
  /** At most one in each stretch of so long. */
  everyMs: number;
  /** How often there is one, 0..1. */
  chance: number;
  bytes: Range;
  riseMs: Range;
  holdMs: Range;
  fallMs: number;
}

/** Demand from outside that comes and goes: up, held, down. Whoever runs then has it. */
export function pulses(seed: number, options: PulseOptions): Curve {
  let pulse = pulseOf(seed, Number.NaN, options);
  const take = (atMs: number): Pulse => {
    const slot = Math.floor(atMs / options.everyMs);
    if (slot !== pulse.slot) pulse = pulseOf(seed, slot, options);
    return pulse;
  };
  return {
    bytesAt(atMs) {
      const { bytes, beginMs, topMs, fallMs, endMs } = take(atMs);
      if (bytes === 0 || atMs <= beginMs || atMs >= endMs) return 0;
      if (atMs < topMs) return (bytes * (atMs - beginMs)) / (topMs - beginMs);
      return atMs <= fallMs ? bytes : (bytes * (endMs - atMs)) / (endMs - fallMs);
    },
    knotAfter(atMs) {
      const { slot, bytes, beginMs, topMs, fallMs, endMs } = take(atMs);
      if (bytes > 0) for (const knot of [beginMs, topMs, fallMs, endMs]) if (knot > atMs) return knot;
      return (slot + 1) * options.everyMs;
    },
  };
}

interface Pulse {
  slot: number;
  bytes: number;
  beginMs: number;
  topMs: number;
  fallMs: number;
  endMs: number;
}

function pulseOf(seed: number, slot: number, options: PulseOptions): Pulse {
  const chance = (key: number) => unitOf(seed, slot, key);
  if (Number.isNaN(slot) || chance(1) >= options.chance)
    return { slot, bytes: 0, beginMs: 0, topMs: 0, fallMs: 0, endMs: 0 };
  const riseMs = Math.max(1, Math.round(between(chance(2), options.riseMs)));
  const holdMs = Math.round(between(chance(3), options.holdMs));
  const spareMs = Math.max(0, options.everyMs - riseMs - holdMs - options.fallMs);
  const beginMs = slot * options.everyMs + Math.floor(chance(4) * spareMs);
  const [topMs, fallMs] = [beginMs + riseMs, beginMs + riseMs + holdMs];
  const endMs = fallMs + Math.max(1, options.fallMs);
  return { slot, bytes: between(chance(5), options.bytes), beginMs, topMs, fallMs, endMs };
}

/** A collection frees what piled up within this time. */
const collectMs = 200;

/** Garbage piles up and is collected, over and over from the start on. */
export function sawtooth(seed: number, { periodMs, bytes }: { periodMs: number; bytes: Range }): Curve {
  const top = (life: Life, cycle: number) => between(unitOf(seed, life.index, cycle), bytes);
  return {
    bytesAt(atMs, life) {
      const ageMs = atMs - life.bornMs;
      if (ageMs < 0) return 0;
      const cycle = Math.floor(ageMs / periodMs);
      const phaseMs = ageMs - cycle * periodMs;
      const riseMs = periodMs - collectMs;
      const most = top(life, cycle);
      return phaseMs <= riseMs ? (most * phaseMs) / riseMs : (most * (periodMs - phaseMs)) / collectMs;
    },
    knotAfter(atMs, life) {
      const ageMs = atMs - life.bornMs;
      if (ageMs < 0) return life.bornMs;
      const begin = life.bornMs + Math.floor(ageMs / periodMs) * periodMs;
      return atMs < begin + periodMs - collectMs ? begin + periodMs - collectMs : begin + periodMs;
    },
  };
}

/** Knots of the day's curve. */
const dayStepMs = 600_000;

/** Nothing in the quiet half of the day, `bytes` at `peakMs` after midnight (UTC); a raised cosine. */
export function diurnal(bytes: number, peakMs: number): Curve {
  const knot = (step: number): number =>
    (bytes / 2) * (1 + Math.cos((2 * Math.PI * (((step * dayStepMs) % dayMs) - peakMs)) / dayMs));
  let [cached, left, right] = [Number.NaN, 0, 0];
  return {
    bytesAt(atMs) {
      const step = Math.floor(atMs / dayStepMs);
      if (step !== cached) [cached, left, right] = [step, knot(step), knot(step + 1)];
      return left + ((right - left) * (atMs - step * dayStepMs)) / dayStepMs;
    },
    knotAfter: (atMs) => (Math.floor(atMs / dayStepMs) + 1) * dayStepMs,
  };
}
