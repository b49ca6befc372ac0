/** A command of the compiled executable, run to its end. */

import { executable } from "./running-conductor.ts";

export interface Ended {
  code: number;
  out: string;
  err: string;
  /** Lines of stderr that are for a person: not the log. */
  problems: string[];
}

/** Runs `conductor ARGS…` in `cwd` with nothing in its environment but PATH and `environment`; killed after `timeoutMs` (15 s). */
export async function conductor(
  args: readonly string[],
  {
    cwd,
    environment = {},
    wrap,
    timeoutMs = 15_000,
  }: { cwd: string; environment?: Record<string, string>; wrap?: string[]; timeoutMs?: number },
): Promise<Ended> {
  const child = Bun.spawn([...(wrap ?? []), executable, ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? "", CONDUCTOR_LOG_FORMAT: "json", ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const problems = err.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  return { code, out, err, problems };
}
