/** Limits as the kernel has them, and as a plugin that goes over each of them meets them. */

import { cores, memoryMiB, processes } from "./guest-plugins.ts";
import { cgroupOf, readOr, statusField } from "./kernel-files.ts";
import { check } from "./recorder.ts";
import { eventually, type Service } from "./service.ts";

/** What the kernel itself tells of the plugin's process. */
export async function kernelView(service: Service): Promise<void> {
  const { as } = service;
  const [pid = 0] = (await service.view("bot")).pids;
  const folder = cgroupOf(pid);
  check(
    as,
    "it is in a cgroup of its own below the service's",
    folder.startsWith(`${service.cgroup}/conductor-`),
    folder,
  );
  const files = ["memory.max", "memory.swap.max", "cpu.max", "pids.max"];
  const values = files.map((file) => readOr(`${folder}/${file}`, "none"));
  const wanted = [String(memoryMiB * 2 ** 20), "0", `${cores * 100_000} 100000`, String(processes)];
  // A kernel without swap has no file for it.
  const held = wanted.every((want, at) => values[at] === want || (at === 1 && values[1]?.includes("ENOENT")));
  check(
    as,
    "its limits stand in the kernel's files",
    held,
    Object.fromEntries(files.map((f, at) => [f, values[at]])),
  );
  const weight = readOr(`${folder}/../self/cpu.weight`, "none");
  check(as, "conductor comes before its plugins at the processors", weight === "1000", weight);
  const seen = {
    uid: statusField(pid, "Uid"),
    effective: statusField(pid, "CapEff"),
    newPrivileges: statusField(pid, "NoNewPrivs"),
    seccomp: statusField(pid, "Seccomp"),
  };
  const uid = as === "root" ? Number(seen.uid) >= 70_000 : seen.uid === "65534";
  const powerless = seen.effective === "0000000000000000" && seen.newPrivileges === "1";
  check(as, "its user and capabilities are as told", uid && powerless, seen);
  check(
    as,
    "the seccomp filter is there where it is told",
    (seen.seccomp === "2") === (as !== "root"),
    seen.seccomp,
  );
}

/** It goes over each limit in turn. */
export async function limitsHeld(service: Service): Promise<void> {
  const { as } = service;
  const burn = `import time
begin, spent = time.time(), time.process_time()
while time.time() - begin < 4: pass
print((time.process_time() - spent) / (time.time() - begin))`;
  const [used] = await service.probe("bot", python(burn));
  // The interpreter's own start is in the same quota, and the period is a tenth of a second.
  check(as, `it gets ${cores} cores at most`, Number(used) > 0.05 && Number(used) < cores * 1.3, used);
  // In a group of their own, so that all can be ended at once.
  const fork = `import os, time
os.setsid()
count = 0
try:
  while count < 200:
    if os.fork() == 0: time.sleep(20); os._exit(0)
    count += 1
  print(count, 0, flush=True)
except OSError as error: print(count, error.errno, flush=True)
os.killpg(0, 9)`;
  const [forked] = await service.probe("bot", python(fork));
  const [count, errno] = String(forked).split(" ").map(Number);
  check(as, `it has ${processes} processes at most`, Number(count) < processes && errno === 11, forked);
  await overMemory(service, "kernel");
}

const python = (code: string): string[] => ["run", "python3", "-c", code];

/** A plugin over its memory limit is ended by `ender`, which is told, and it comes back. */
async function overMemory(service: Service, ender: "kernel" | "conductor"): Promise<void> {
  const [pid = 0] = (await service.view("bot")).pids;
  const hog = `b=bytearray(${memoryMiB * 4}<<20)\nimport time\ntime.sleep(30)\nprint(len(b))`;
  const answer = await service.probe("bot", python(hog)).then(
    (answers) => `answered ${JSON.stringify(answers)}`,
    (error: unknown) => String(error),
  );
  const after = await eventually("it ended and came back", 60, async () => {
    const view = await service.view("bot");
    return view.state === "ready" && view.pids[0] !== pid ? view : null;
  });
  const told = after.lastExit?.text ?? "";
  const ok = told.includes(`killed by ${ender === "kernel" ? "the kernel" : "conductor"}`);
  const what = `over ${memoryMiB} MiB it is ended by ${ender}, which is told, and it comes back`;
  check(service.as, what, ok && told.includes(`${memoryMiB}.0 MiB`), `${told}; ${answer}`);
}

/** Where systemd delegates nothing: what stands in for the cgroups, and what does not. */
export async function limitsWithoutCgroups(service: Service): Promise<void> {
  const { as } = service;
  const { limits, pids } = await service.view("bot");
  const { memory, cpu, processes: count } = limits.enforced;
  const watched = memory?.mechanism === "statm watch" && memory.reason?.includes("Delegate=yes") === true;
  check(as, "memory is said to be watched by conductor, not held", watched, memory);
  const yields = cpu?.mechanism === "nice 10" && cpu.reason?.includes("no quota") === true;
  check(as, "the processor is said to have no quota", yields, cpu);
  const open = count?.mechanism === null && count.reason?.includes("not enforced") === true;
  check(as, "processes are said not to be limited", open, count);
  // Field 19 of the line, counted after the name, which may hold spaces.
  const niceness = readOr(`/proc/${pids[0]}/stat`, "").split(") ").at(-1)?.split(" ")[16];
  check(as, "it yields to others", niceness === "10", niceness);
  await overMemory(service, "conductor");
}
