/** What this host could enforce of a plugin's permissions, and what would make it able to: lines of `conductor doctor`. */

import type { Support } from "./enforcement.ts";
import { findBubblewrap } from "./launch/find-bubblewrap.ts";
import { landlockFull, landlockGap, landlockTcp } from "./launch/landlock-versions.ts";
import type { SupportProbe } from "./launch/support-probe.ts";
import { filtered } from "./launch/system-call-filter.ts";

const runAsRoot = "run conductor as root (systemd: a system service)";

/** The lines for what a probe found; `bubblewrap` is its version, null where it is not installed. */
export function supportLines(probe: SupportProbe, bubblewrap: string | null): Support[] {
  return [
    filesLine(probe),
    netLine(probe),
    listenLine(probe),
    userLine(probe),
    {
      what: "permissions.privileges",
      mechanism: probe.privilegesProblem === null ? "no_new_privs" : null,
      missing: probe.privilegesProblem,
      remedy: probe.privilegesProblem === null ? null : "use Linux 3.5 or newer",
    },
    {
      what: "permissions.sandbox",
      // Told, and not asked for: a plugin that names it and cannot have it is held by the kernel's own means.
      mechanism: bubblewrap ?? "no bubblewrap, and none is needed (apt-get install bubblewrap)",
      missing: null,
      remedy: null,
    },
  ];
}

function userLine({ isRoot, noOwnUsers }: SupportProbe): Support {
  const what = "permissions.user";
  if (!isRoot)
    return { what, mechanism: null, missing: "plugins run as conductor's own user", remedy: runAsRoot };
  return noOwnUsers === null
    ? { what, mechanism: "a user for each plugin", missing: null, remedy: null }
    : { what, mechanism: "root without capabilities", ...noOwnUsers };
}

const noLandlock = {
  missing: "this kernel offers no Landlock",
  remedy: "use Linux 5.13 or newer, and boot with landlock first in lsm= (lsm=landlock,…)",
};

function filesLine({ landlockAbi: abi, landlockDenied }: SupportProbe): Support {
  const what = "permissions.files";
  if (abi === 0) {
    const { missing, remedy } = landlockDenied ? filtered : noLandlock;
    return {
      what,
      mechanism: null,
      missing: `${missing}: plugins without trust: true do not start`,
      remedy,
    };
  }
  const gap = landlockGap(abi);
  return {
    what,
    mechanism: `Landlock (ABI ${abi})`,
    missing: gap,
    remedy: gap === null ? null : `use Linux ${landlockFull} or newer`,
  };
}

function netLine({ namespaceProblem, seccompProblem }: SupportProbe): Support {
  const what = "permissions.net";
  if (namespaceProblem === null) return { what, mechanism: "network namespace", missing: null, remedy: null };
  if (seccompProblem === null) return { what, mechanism: "seccomp", missing: null, remedy: null };
  return { what, mechanism: null, missing: `${namespaceProblem}; ${seccompProblem}`, remedy: runAsRoot };
}

/** A plugin without the network that is asked for its health over TCP. */
function listenLine({ landlockAbi, seccompProblem }: SupportProbe): Support {
  const what = "permissions.net (port)";
  const holds = landlockAbi >= landlockTcp.abi && seccompProblem === null;
  return {
    what,
    mechanism: holds ? `seccomp and Landlock (ABI ${landlockAbi})` : null,
    missing: holds
      ? null
      : `${seccompProblem ?? "this kernel's Landlock cannot hold TCP ports"}: with health.kind http or tcp a plugin without net: true does not start, unless it has trust: true`,
    remedy: holds ? null : `use Linux ${landlockTcp.linux} or newer, or grant the plugin net: true`,
  };
}

/**
 * Asks the kernel, in a process of its own: what is tried cannot be taken back. `selfCommand` starts this program. Throws
 * when that cannot be done.
 */
export async function sandboxSupport(selfCommand: readonly string[]): Promise<Support[]> {
  if (process.platform !== "linux")
    return [
      {
        what: "permissions",
        mechanism: null,
        missing: "permissions are enforced on Linux only",
        remedy: "run conductor on Linux",
      },
    ];
  const child = Bun.spawn([...selfCommand, "__launch", "probe"], {
    cwd: "/",
    env: {},
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, out, said] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (child.signalCode === "SIGSYS") return [{ what: "permissions", mechanism: null, ...filtered }];
  if (code !== 0)
    throw new Error(`what the kernel offers cannot be probed: exit ${code}: ${said.slice(0, 300)}`);
  return supportLines(JSON.parse(out) as SupportProbe, findBubblewrap()?.version ?? null);
}
