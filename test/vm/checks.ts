/** What the machine found out: one line a check, and how a list of them is shown. */

export interface Check {
  /** Which conductor: root's, nobody's, nobody's in a unit without Delegate=yes, root's in a unit that takes from it. */
  as: string;
  what: string;
  ok: boolean;
  /** What was measured; for a failed one beside what was expected. */
  found: string;
}

/** What the guest hands to the host. */
export interface Findings {
  kernel: string;
  checks: Check[];
}

/** Longest `found` in the table; all of it is in checks.json. */
const mostShown = 160;

export function table({ kernel, checks }: Findings): string {
  const lines = checks.map(({ as, what, ok, found }) => {
    const shown = found.length > mostShown ? `${found.slice(0, mostShown)}…` : found;
    return `${ok ? "ok    " : "FAILED"}  ${as.padEnd(11)}  ${what}: ${shown}`;
  });
  const failed = checks.filter(({ ok }) => !ok).length;
  const sum = failed === 0 ? `All ${checks.length} hold.` : `${failed} of ${checks.length} FAILED.`;
  return [`Linux ${kernel}`, "", ...lines, "", sum].join("\n");
}
