/** /proc/pressure/{memory,cpu,io}: how much work stood still for want of a resource. */

/** Percent (0..100) of the last 10 s. */
export interface Pressure {
  /** At least one task waited. */
  somePercent: number;
  /** All tasks waited; null where the kernel does not tell (for the processor before Linux 5.13). */
  fullPercent: number | null;
}

/** The avg10 values; null when there is none for "some". */
export function parsePressure(text: string): Pressure | null {
  const some = /^some avg10=(\d+(?:\.\d+)?) /m.exec(text)?.[1];
  const full = /^full avg10=(\d+(?:\.\d+)?) /m.exec(text)?.[1];
  if (some === undefined) return null;
  return { somePercent: Number(some), fullPercent: full === undefined ? null : Number(full) };
}
