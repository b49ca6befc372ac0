/** What runs inside the machine: conductor as a service of root's and of an ordinary user's, and what holds its plugins. */

import { appendFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import type { Findings } from "./checks.ts";
import { plugins } from "./guest-plugins.ts";
import { hardenedUnits } from "./hardened-units.ts";
import { kernelView, limitsHeld, limitsWithoutCgroups } from "./limit-checks.ts";
import { permissions } from "./permission-checks.ts";
import { check, checks, part } from "./recorder.ts";
import { eventually, pluginProcesses, Service } from "./service.ts";
import { doctor, drilled, startUp } from "./told-checks.ts";

const out = "/duel/out";

/** Everything of the run is gone: processes, cgroups, and the unit with them. */
async function gone(service: Service, how: string): Promise<void> {
  const left = () => ({ processes: pluginProcesses(), cgroups: service.cgroupsLeft() });
  await eventually("all is gone", 40, () => {
    const { processes: pids, cgroups } = left();
    return pids.length === 0 && cgroups.length === 0 && !existsSync(service.cgroup) ? true : null;
  }).catch(() => undefined);
  const { processes: pids, cgroups } = left();
  const clean = pids.length === 0 && cgroups.length === 0 && !existsSync(service.cgroup);
  check(service.as, `nothing is left after ${how}`, clean, {
    pids,
    cgroups,
    unit: existsSync(service.cgroup),
  });
}

async function scenario(as: "root" | "nobody"): Promise<void> {
  const service = new Service(as);
  await part(as, "doctor", async () => {
    service.prepare(plugins);
    await doctor(service);
  });
  await part(as, "drill", () => drilled(service));
  await part(as, "start", () => startUp(service));
  await part(as, "kernel", () => kernelView(service));
  await part(as, "permissions", () => permissions(service));
  await part(as, "limits", () => limitsHeld(service));
  await part(as, "TERM", async () => {
    await Bun.$`systemctl stop ${service.unit}`.quiet();
    const said = existsSync(`${service.state}/plugin-data/hosted/goodbye`);
    check(as, "a plugin is asked to shut down before it ends", said, said ? "it was" : "it was not");
    await gone(service, "TERM");
  });
  await part(as, "KILL", async () => {
    await service.start();
    await killed(service);
  });
  await finish(service);
}

/** As nobody, in a unit that leaves out Delegate=yes. */
async function undelegated(): Promise<void> {
  const service = new Service("undelegated");
  const { as } = service;
  await part(as, "limits", async () => {
    service.prepare({ bot: plugins.bot });
    await service.start();
    await limitsWithoutCgroups(service);
  });
  await part(as, "KILL", () => killed(service));
  await finish(service);
}

async function killed(service: Service): Promise<void> {
  const seen = pluginProcesses().length;
  process.kill(await service.mainPid(), "SIGKILL");
  await gone(service, `SIGKILL of conductor with ${seen} processes`);
}

/** Keeps its log, and leaves nothing that the next one could find. */
async function finish(service: Service): Promise<void> {
  appendFileSync(`${out}/${service.as}.log`, await service.log());
  await Bun.$`systemctl stop ${service.unit}; systemctl reset-failed ${service.unit}`.quiet().nothrow();
  await Bun.$`rm -rf /var/lib/conductor`.quiet();
}

mkdirSync(out, { recursive: true });
for (const as of ["root", "nobody"] as const) await scenario(as);
await undelegated();
await hardenedUnits(finish);
const findings: Findings = { kernel: release(), checks };
writeFileSync(`${out}/checks.json`, `${JSON.stringify(findings, null, 1)}\n`);
