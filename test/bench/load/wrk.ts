/** wrk (of the Debian package of that name) against a POST: a closed loop over keep-alive connections. */

import { join } from "node:path";

export interface WrkResult {
  seconds: number;
  /** 200. */
  answered: number;
  refused429: number;
  refused503: number;
  /** Of both together. */
  withoutRetryAfter: number;
  /** Any other status; the last one that came is `otherStatus`, 0 when none did. */
  other: number;
  otherStatus: number;
  connectErrors: number;
  /** Reset or closed in the middle of an answer. */
  brokenConnections: number;
  /** Later than the patience of ten seconds. */
  lateAnswers: number;
  /** Of all answers, refusals too. */
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Throws with what to install where there is no wrk. */
export async function wrk(
  url: string,
  body: string,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<WrkResult> {
  if (!Bun.which("wrk"))
    throw new Error("wrk is missing: bun test/tools.ts installs it (Debian package wrk)");
  const command = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s"];
  const child = Bun.spawn([...command, "-s", join(import.meta.dir, "wrk.lua"), url, "--", body], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  const line = /^JSON (.*)$/m.exec(text)?.[1];
  if ((await child.exited) !== 0 || line === undefined) throw new Error(`wrk failed: ${text.slice(-500)}`);
  return JSON.parse(line) as WrkResult;
}
