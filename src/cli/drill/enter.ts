/** The role `__drill-serve PROCS_FILE ARGUMENTS…`: enters a cgroup and becomes `conductor serve ARGUMENTS…`. */

import { writeFileSync } from "node:fs";
import { selfCommand } from "../../plugins/self-command.ts";

/** Comes back only when it could not; the reason is on stderr. */
export function enterAndServe(
  [procsFile = "", ...args]: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): number {
  try {
    writeFileSync(procsFile, String(process.pid));
    const [program = process.execPath, ...own] = selfCommand(process.execPath, Bun.main);
    if (!process.execve) throw new Error("this runtime has no execve");
    process.execve(program, [program, ...own, "serve", ...args], { ...environment } as Record<
      string,
      string
    >);
  } catch (error) {
    process.stderr.write(`__drill-serve: ${error instanceof Error ? error.message : error}\n`);
  }
  return 1;
}
