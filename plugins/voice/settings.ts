/** The settings of the voice plugin, and the same three parameters in a request. */

import type { Json } from "conductor/plugin";

export interface Manner {
  /** A voice of espeak-ng, such as "en" or "en-us+f3". */
  voice: string;
  /** Words a minute. */
  speed: number;
  /** 0..99. */
  pitch: number;
}

export interface Settings extends Manner {
  /** A name on PATH or a full path. */
  program: string;
  timeoutMs: number;
}

export const defaults: Settings = {
  program: "espeak-ng",
  voice: "en",
  speed: 175,
  pitch: 50,
  timeoutMs: 10_000,
};

/** A value that is refused; the message names key, value and what is allowed. */
export class InvalidValue extends Error {
  readonly code = "bad-request";

  constructor(key: string, value: Json, expected: string) {
    super(`${key}: ${JSON.stringify(value).slice(0, 80)}: expected ${expected}`);
  }
}

function whole(value: Json, key: string, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new InvalidValue(key, value, `a whole number from ${min} to ${max}`);
}

// No slash and no leading dash: a voice is a name, never a path or an option of the program.
const voicePattern = /^[A-Za-z][A-Za-z0-9]*([-+_][A-Za-z0-9]+)*$/;

/** voice, speed and pitch from `values`, else from `base`. Throws InvalidValue; `prefix` stands before the key. */
export function readManner(values: Record<string, Json>, base: Manner, prefix: string): Manner {
  const voice = values.voice ?? base.voice;
  if (typeof voice !== "string" || voice.length > 40 || !voicePattern.test(voice))
    throw new InvalidValue(`${prefix}voice`, voice, "a voice of espeak-ng such as en, de or en-us+f3");
  return {
    voice,
    speed: whole(values.speed ?? base.speed, `${prefix}speed`, 80, 450),
    pitch: whole(values.pitch ?? base.pitch, `${prefix}pitch`, 0, 99),
  };
}

/** The whole configuration. Throws InvalidValue at the first key that is wrong or unknown. */
export function readSettings(config: Record<string, Json>, name: string): Settings {
  const prefix = `plugins.config.${name}.`;
  for (const [key, value] of Object.entries(config))
    if (!Object.hasOwn(defaults, key))
      throw new InvalidValue(`${prefix}${key}`, value, `one of the keys ${Object.keys(defaults).join(", ")}`);
  const program = config.program ?? defaults.program;
  if (typeof program !== "string" || program.trim() === "" || program.length > 1_000)
    throw new InvalidValue(`${prefix}program`, program, "a program's name or full path");
  return {
    ...readManner(config, defaults, prefix),
    program,
    timeoutMs: whole(config.timeoutMs ?? defaults.timeoutMs, `${prefix}timeoutMs`, 100, 60_000),
  };
}
