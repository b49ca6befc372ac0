/** Keeps what the guest finds, check by check. */

import type { Check } from "./checks.ts";

export const checks: Check[] = [];

/** One check: `found` is what was measured. */
export function check(as: string, what: string, ok: boolean, found: unknown): void {
  const text = typeof found === "string" ? found : JSON.stringify(found);
  checks.push({ as, what, ok, found: text });
  process.stdout.write(`${ok ? "ok" : "FAILED"} ${as} ${what}: ${text}\n`);
}

/** A part of the checks that cannot go on is a failed check, and the next part is tried. */
export async function part(as: string, what: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    check(as, what, false, String(error));
  }
}
