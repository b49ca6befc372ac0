/** How this program starts itself again, as a plugin's host or as the guard. */

/**
 * The compiled executable, or the runtime with the entry script. `entry` is `Bun.main`, `executable` is
 * `process.execPath`; the arguments of the new process follow.
 */
export function selfCommand(executable: string, entry: string): string[] {
  // Inside a compiled executable the entry lies in Bun's virtual file system.
  const compiled = entry.startsWith("/$bunfs/") || entry.includes("~BUN");
  return compiled ? [executable] : [executable, "--no-env-file", entry];
}
