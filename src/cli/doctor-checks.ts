/** What of the host conductor needs besides limits: pressure, swap, a state folder, a port, its own rank for the kernel. */

import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { formatBytes } from "../config/units.ts";
import { parseMeminfo } from "../monitor/meminfo.ts";
import { parsePressure } from "../monitor/pressure.ts";
import type { Support } from "../plugins/enforcement.ts";
import { offeredFolders } from "../storage/location.ts";

const fine = (what: string, mechanism: string): Support => ({ what, mechanism, missing: null, remedy: null });

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // Not there, or not for this user: either way it cannot be used.
  }
}

/** Whether the kernel tells how much work stands still for want of memory. */
export function pressureSupport(path = "/proc/pressure/memory"): Support {
  const text = readOrNull(path);
  if (text !== null && parsePressure(text)) return fine("pressure", path);
  return {
    what: "pressure",
    mechanism: null,
    missing: "the kernel tells no pressure stall information: conductor goes by the use of memory alone",
    remedy: "boot with psi=1 on the kernel's command line, or a kernel with CONFIG_PSI=y",
  };
}

/** Swap is told, and not asked for: what runs does so with and without. */
export function swapSupport(path = "/proc/meminfo"): Support {
  const text = readOrNull(path) ?? "";
  const totalBytes = parseMeminfo(Buffer.from(text), text.length)?.swapTotalBytes ?? 0;
  if (totalBytes === 0) return fine("swap", "none, and none is needed");
  return fine("swap", `${formatBytes(totalBytes)}; a plugin with limits.memory is kept out of it`);
}

/** CAP_SYS_RESOURCE, which lowering oom_score_adj takes. */
const resourceCapability = 1n << 24n;

/** Whether the kernel can be told to kill conductor after everything else. */
export function oomScoreSupport(folder = "/proc/self"): Support {
  const what = "oom_score_adj";
  const score = Number(readOrNull(`${folder}/oom_score_adj`) ?? Number.NaN);
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readOrNull(`${folder}/status`) ?? "")?.[1];
  if (score < 0) return fine(what, `${score}: the kernel kills conductor late`);
  if (effective && (BigInt(`0x${effective}`) & resourceCapability) !== 0n)
    return fine(what, `${score}, and may be lowered: conductor serve takes -900`);
  return {
    what,
    mechanism: null,
    missing: Number.isNaN(score)
      ? "this system has no oom_score_adj"
      : `it is ${score} and may not be lowered: to the kernel conductor is a program like any other (its plugins rank before it, at 100 to 1000)`,
    remedy: "OOMScoreAdjust=-900 in the systemd unit (or CAP_SYS_RESOURCE)",
  };
}

/** Why nothing can be written in `folder`, which may have to be made first; null when it can. Leaves nothing behind. */
function whyNotWritable(folder: string): string | null {
  let nearest = folder;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  const probe = join(nearest, `.conductor-probe-${process.pid}`);
  try {
    // Permission bits lie to root, so that only making something tells.
    mkdirSync(probe);
    rmdirSync(probe);
    return null;
  } catch (error) {
    return `${nearest} is not writable (${(error as NodeJS.ErrnoException).code})`;
  }
}

/** Where the state would lie: `configuredPath` (absolute, or ":memory:"), else the first folder that can be written. */
export function stateSupport(
  configuredPath: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Support {
  const what = "state folder";
  if (configuredPath === ":memory:") return fine(what, "in memory, as storage.path says");
  const folders =
    configuredPath === undefined
      ? offeredFolders(environment).map(({ folder }) => folder)
      : [dirname(configuredPath)];
  const reasons = folders.map(whyNotWritable);
  const first = folders.find((_, index) => reasons[index] === null);
  if (first !== undefined) return fine(what, first);
  return {
    what,
    mechanism: null,
    missing: folders.length === 0 ? "no folder is named: the state is kept in memory" : reasons.join("; "),
    remedy: "StateDirectory=conductor in the systemd unit, or storage.path in the configuration",
  };
}

/** A conductor that answers does so at once. */
const answerTimeoutMs = 2_000;

async function conductorAnswers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(answerTimeoutMs) });
    const body = (await response.json()) as { status?: unknown } | null;
    return response.ok && typeof body?.status === "string";
  } catch {
    return false; // Nobody, or somebody who speaks otherwise.
  }
}

/** Whether `host:port` can be listened on, or a conductor does already. */
export async function portSupport(host: string, port: number): Promise<Support> {
  const what = "http port";
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const anywhere: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };
  const reachable = anywhere[host] === undefined ? address : `${anywhere[host]}:${port}`;
  if (await conductorAnswers(`http://${reachable}`)) return fine(what, `a conductor answers at ${address}`);
  try {
    const none = { data: () => undefined };
    Bun.listen({ hostname: host, port, socket: none }).stop(true);
    return fine(what, `${address} is free`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return {
      what,
      mechanism: null,
      missing:
        code === "EADDRINUSE"
          ? `${address} is taken by another program`
          : `${address} cannot be listened on (${code})`,
      remedy: "another http.port in the configuration, or --port",
    };
  }
}
