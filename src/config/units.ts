/** Quantities as people write them (`12GiB`, `30s`, `80%`), parsed to bytes, milliseconds and ratios. */

const byteUnits: Record<string, number> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};

const durationUnits: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7 };

/** A number with a unit of `units`, or why it is none. */
function quantity(text: string, units: Record<string, number>, example: string): number | string {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z%]*)\s*$/.exec(text);
  if (!match) return `expected a number with a unit, such as ${example}`;
  const [, number = "", unit = ""] = match;
  const known = Object.keys(units).join(", ");
  if (unit === "") return `expected a unit (${known}), such as ${example}`;
  const scale = units[unit];
  if (scale === undefined) {
    const near = Object.keys(units).find((name) => name.toLowerCase() === unit.toLowerCase());
    return `unknown unit "${unit}": ${near ? `write "${near}"` : `expected one of ${known}`}`;
  }
  return Number(number) * scale;
}

/** "512MiB" to bytes; a string is the reason it is refused. */
export function parseBytes(text: string): number | string {
  const bytes = quantity(text, byteUnits, '"512MiB"');
  return typeof bytes === "number" ? Math.round(bytes) : bytes;
}

/** "30s" to milliseconds; a string is the reason it is refused. */
export function parseDurationMs(text: string): number | string {
  return quantity(text, durationUnits, '"30s"');
}

/** "80%" to 0.8; a string is the reason it is refused. */
export function parseRatio(text: string): number | string {
  const percent = quantity(text, { "%": 1 }, '"80%"');
  if (typeof percent === "string") return percent;
  return percent <= 100 ? percent / 100 : "expected at most 100%";
}

const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes for a person: three significant digits, binary units. */
export function formatBytes(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1024 && unit < binaryUnits.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${bytes < 0 ? "-" : ""}${value.toFixed(digits)} ${binaryUnits[unit]}`;
}

/** Milliseconds for a person: "1.5 s", "5 min", "2 h". */
export function formatDuration(ms: number): string {
  const abs = Math.abs(ms);
  if (abs < 1_000) return `${Math.round(ms)} ms`;
  if (abs < 120_000) return `${Number((ms / 1_000).toFixed(1))} s`;
  if (abs < 7_200_000) return `${Number((ms / 60_000).toFixed(1))} min`;
  return `${Number((ms / 3_600_000).toFixed(1))} h`;
}

/** A ratio for a person: 0.8 is "80.0 %". */
export function formatPercent(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}
