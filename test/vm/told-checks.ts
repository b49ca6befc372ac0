/** What conductor says of a start and what doctor says of the host: no more than is true of this kernel. */

import type { Support } from "../../src/plugins/enforcement.ts";
import { check } from "./recorder.ts";
import type { ServedView, Service } from "./service.ts";

/** Starts it, and checks what it tells of every plugin. */
export async function startUp(service: Service): Promise<void> {
  const { as } = service;
  const isRoot = as === "root";
  const views = Object.fromEntries((await service.start()).map((view) => [view.name, view]));
  const of = (name: string): ServedView => {
    const view = views[name];
    if (!view) throw new Error(`no plugin ${name}`);
    return view;
  };
  for (const name of ["bot", "granted", "hosted", "vouched"])
    check(as, `${name} is ready`, of(name).state === "ready", `${of(name).state}: ${of(name).reason}`);
  const { enforced } = of("bot").limits;
  for (const limit of ["memory", "cpu", "processes"])
    check(
      as,
      `limits.${limit} is said to be held by cgroup v2`,
      enforced[limit]?.mechanism === "cgroup v2" && enforced[limit]?.reason === null,
      enforced[limit],
    );
  const { net, files, user, env, privileges } = of("bot").permissions ?? {};
  check(as, "files are said to be held by Landlock ABI 2, with its gaps named", landlockTold(files), files);
  const network = isRoot ? "network namespace" : "seccomp";
  check(
    as,
    `the network is said to be held by ${network}`,
    net?.mechanism === network && net.reason === null,
    net,
  );
  const ownUser = isRoot ? /^uid [78]\d{4}$/.test(user?.mechanism ?? "") : user?.mechanism === null;
  check(as, isRoot ? "it has a user of its own" : "it is said to run as conductor's user", ownUser, user);
  const rest = env?.mechanism === "clean environment" && privileges?.mechanism === "no_new_privs";
  check(as, "environment and privileges are said to be held", rest, { env, privileges });
  const web = of("web");
  const refused =
    web.state !== "ready" && /permissions\.net cannot be enforced here.*6\.7/.test(web.lastError ?? "");
  check(
    as,
    "a port for health alone cannot be held here: not started",
    refused,
    `${web.state}: ${web.lastError}`,
  );
  const { unenforced } = of("vouched");
  check(
    as,
    "with trust: true it starts, and says that net is not held",
    unenforced.join() === "net",
    unenforced,
  );
  check(
    as,
    "nothing is said of bot that is not held",
    of("bot").unenforced.length === 0,
    of("bot").unenforced,
  );
}

const landlockTold = (files: { mechanism: string | null; reason: string | null } | undefined): boolean =>
  files?.mechanism === "Landlock (ABI 2)" && /emptied.*signalled.*abstract/.test(files.reason ?? "");

/** Doctor, run as the service is, tells what the service then gets. */
export async function doctor(service: Service): Promise<void> {
  const { as } = service;
  const { out: text, err } = await service.command("doctor", "-o", "json", "--config", service.configuration);
  const { checks: told } = JSON.parse(text || `{"checks":[]}`) as { checks: Support[] };
  const of = (what: string) => told.find((each) => each.what === what);
  const expected: Record<string, string | null> = {
    "limits.memory": "cgroup v2",
    "limits.cpu": "cgroup v2",
    "limits.processes": "cgroup v2",
    "permissions.files": "Landlock (ABI 2)",
    "permissions.net": as === "root" ? "network namespace" : "seccomp",
    "permissions.net (port)": null,
    "permissions.user": as === "root" ? "a user for each plugin" : null,
    "permissions.privileges": "no_new_privs",
  };
  for (const [what, mechanism] of Object.entries(expected)) {
    const line = of(what);
    check(
      as,
      `doctor tells ${what} as it is`,
      line?.mechanism === mechanism && line !== undefined,
      line ?? `nothing; ${err}`,
    );
  }
}

/** A drill sheds and restores in a delegated unit, with nothing killed by the kernel; how fast says little of a machine without hardware virtualisation. */
export async function drilled(service: Service): Promise<void> {
  const { out: text, err } = await service.command("drill", "burst", "-o", "json");
  const { drills = [] } = JSON.parse(text || "{}") as {
    drills?: { shed: string[]; restoreMs: number | null; kernelKills: number }[];
  };
  const [report] = drills;
  const held = report?.shed.includes("hog") && report.restoreMs !== null && report.kernelKills === 0;
  check(
    service.as,
    "a drill is shed and restored, and the kernel kills nothing",
    held === true,
    report ?? err,
  );
}
