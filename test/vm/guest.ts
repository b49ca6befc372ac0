/** What runs inside the machine: conductor as a service of root's and of an ordinary user's, and what holds its plugins. */

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import type { Support } from "../../src/plugins/enforcement.ts";
import type { Check, Findings } from "./checks.ts";
import { eventually, pluginProcesses, type ServedView, Service } from "./service.ts";

const out = "/duel/out";
const prober = readFileSync("/duel/prober.py", "utf8");
const memoryMiB = 64;
const cores = 0.25;
const processes = 24;
const webPort = 8_555;

const manifest = (name: string, lines: string[]): string =>
  `${[`name: ${name}`, "version: 1.0.0", "start: eager", ...lines].join("\n")}\n`;
const proberLines = ["runtime: exec", 'command: ["python3", "prober.py"]'];
const webLines = (port: number) => [
  ...["runtime: exec", "protocol: none", `health: { kind: http, port: ${port} }`],
  `command: ["python3", "-m", "http.server", "${port}", "--bind", "127.0.0.1"]`,
];
const limits = [
  `limits: { memory: ${memoryMiB}MiB, cpu: ${cores}, processes: ${processes}, requestTimeout: 60s }`,
  "recovery: { restart: always, backoff: { initial: 1s, max: 1s } }",
];

const plugins = {
  bot: { "prober.py": prober, "plugin.yaml": manifest("bot", [...proberLines, ...limits]) },
  granted: {
    "prober.py": prober,
    "plugin.yaml": manifest("granted", [...proberLines, "permissions: { net: true, write: [kept] }"]),
  },
  hosted: {
    "plugin.yaml": manifest("hosted", ["runtime: bun", "entry: index.ts", "limits: { requestTimeout: 60s }"]),
    "index.ts": `import { definePlugin } from "conductor/plugin";
export default definePlugin({ handleRequest: async () => {
  const connected = await fetch("http://127.0.0.1:8420/healthz").then(() => "ok", () => "refused");
  const read = await Bun.file("/var/lib/conductor/token").text().then(() => "ok", (error) => error.code);
  return [connected, read];
}, shutdown: async () => void await Bun.write("/var/lib/conductor/plugin-data/hosted/goodbye", "said") });`,
  },
  web: { "plugin.yaml": manifest("web", webLines(webPort)) },
  vouched: { "plugin.yaml": manifest("vouched", [...webLines(webPort + 1), "trust: true"]) },
};

const checks: Check[] = [];

/** One check: `found` is what was measured. */
function check(as: string, what: string, ok: boolean, found: unknown): void {
  const text = typeof found === "string" ? found : JSON.stringify(found);
  checks.push({ as, what, ok, found: text });
  process.stdout.write(`${ok ? "ok" : "FAILED"} ${as} ${what}: ${text}\n`);
}

/** A part of the checks that cannot go on is a failed check, and the next part is tried. */
async function part(as: string, what: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    check(as, what, false, String(error));
  }
}

const readOr = (path: string, otherwise: string): string => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    return `${otherwise} (${(error as NodeJS.ErrnoException).code})`;
  }
};

async function startUp(service: Service): Promise<void> {
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
  files?.mechanism === "Landlock (ABI 2)" && /emptied.*signalled/.test(files.reason ?? "");

/** What the kernel itself tells of the plugin's process. */
async function kernelView(service: Service): Promise<void> {
  const { as } = service;
  const [pid = 0] = (await service.view("bot")).pids;
  const own = /^0::(.*)$/m.exec(readOr(`/proc/${pid}/cgroup`, ""))?.[1] ?? "";
  const folder = `/sys/fs/cgroup${own}`;
  check(
    as,
    "it is in a cgroup of its own below the service's",
    folder.startsWith(`${service.cgroup}/conductor-`),
    own,
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
  const status = readOr(`/proc/${pid}/status`, "");
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status)?.[1];
  const seen = {
    uid: field("Uid"),
    effective: field("CapEff"),
    newPrivileges: field("NoNewPrivs"),
    seccomp: field("Seccomp"),
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

async function permissions(service: Service): Promise<void> {
  const { as, state } = service;
  const isRoot = as === "root";
  const secret = `${state}/decoy`;
  writeFileSync(secret, "secret");
  if (!isRoot) await Bun.$`chown nobody ${secret}`.quiet();
  chmodSync(secret, 0o600);
  const pid = await service.mainPid();
  const [connected, database, token, environment, configuration] = await service.probe(
    "bot",
    ["tcp", "127.0.0.1", 8_420],
    ["read", `${state}/conductor.db`],
    ["read", `${state}/token`],
    ["read", `/proc/${pid}/environ`],
    ["read", service.configuration],
  );
  check(as, "it connects nowhere", connected === (isRoot ? "ECONNREFUSED" : "EACCES"), connected);
  const reads = { database, token, environment, configuration };
  check(
    as,
    "it reads neither conductor's state nor its environment",
    Object.values(reads).every((v) => v === "EACCES"),
    reads,
  );
  const own = `/sys/fs/cgroup${/^0::(.*)$/m.exec(readOr("/proc/self/cgroup", ""))?.[1] ?? ""}`;
  const limit = `${service.cgroup}/memory.max`;
  const places = [service.pluginFolder("bot"), "/tmp", "/run", "/var/tmp"].map((folder) => `${folder}/new`);
  const [ownPlace, ...written] = await service.probe(
    "bot",
    ["write", `${state}/plugin-data/bot/kept`],
    ...[...places, `${service.pluginFolder("bot")}/plugin.yaml`, limit, `${own}/cgroup.procs`].map((path) => [
      "write",
      path,
    ]),
  );
  check(as, "it writes to its data folder", ownPlace === "ok", ownPlace);
  const denied = written.every((answer) => answer === "EACCES");
  check(as, "it writes nowhere else, least of all to its cgroup", denied, written);
  // What ABI 2 leaves open is told as open: with a user of its own it is closed all the same.
  const [emptied, signalled] = await service.probe("bot", ["truncate", secret], ["kill", pid]);
  const gaps = isRoot
    ? emptied === "EACCES" && signalled === "EPERM"
    : emptied === "ok" && signalled === "ok";
  check(as, isRoot ? "it empties and signals nothing" : "it can do what is told as open", gaps, {
    emptied,
    signalled,
  });
  const granted = await service.probe(
    "granted",
    ["tcp", "127.0.0.1", 8_420],
    ["write", `${service.pluginFolder("granted")}/kept/new`],
    ["write", `${service.pluginFolder("granted")}/new`],
    ["read", `${state}/conductor.db`],
  );
  check(as, "what is granted works, and no more", granted.join() === "ok,ok,EACCES,EACCES", granted);
  const hosted = await service.probe("hosted");
  check(as, "the same holds for a plugin in a host", hosted.join() === "refused,EACCES", hosted);
}

async function limitsHeld(service: Service): Promise<void> {
  const { as } = service;
  const python = (code: string): string[] => ["run", "python3", "-c", code];
  const burn =
    "import time\nb=time.time();c=time.process_time()\nwhile time.time()-b<4: pass\nprint((time.process_time()-c)/(time.time()-b))";
  const [used] = await service.probe("bot", python(burn));
  // The interpreter's own start is in the same quota, and the period is a tenth of a second.
  check(as, `it gets ${cores} cores at most`, Number(used) > 0.05 && Number(used) < cores * 1.3, used);
  const fork =
    "import os,time\nn=0\ntry:\n while n<200:\n  if os.fork()==0: time.sleep(20); os._exit(0)\n  n+=1\nexcept OSError as e: print(n, e.errno, flush=True)\nelse: print(n, 0, flush=True)\nos.killpg(0, 9) if os.getpgid(0)==os.getpid() else None";
  const [forked] = await service.probe("bot", python(`import os\nos.setsid()\n${fork}`));
  const [count, errno] = String(forked).split(" ").map(Number);
  check(as, `it has ${processes} processes at most`, Number(count) < processes && errno === 11, forked);
  const before = await service.view("bot");
  const [pid = 0] = before.pids;
  const attempt = await service
    .probe("bot", python(`b=bytearray(${memoryMiB * 4}<<20)\nprint(len(b))`))
    .then((answer) => `answered ${JSON.stringify(answer)}`)
    .catch((error) => String(error).slice(0, 200));
  const after = await eventually("it ended and came back", 60, async () => {
    const view = await service.view("bot");
    return view.state === "ready" && view.pids[0] !== pid ? view : null;
  });
  const told = after.lastExit?.text ?? "";
  check(
    as,
    `it is ended over ${memoryMiB} MiB, with the reason, and comes back`,
    /memory/.test(told) && told.includes(`${memoryMiB}.0 MiB`),
    `${told}; ${attempt}`,
  );
}

async function doctor(service: Service): Promise<void> {
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
    if (as !== "root") await Bun.$`chown -R nobody /run/vm-${as}`.quiet();
    await doctor(service);
  });
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
    const seen = pluginProcesses().length;
    process.kill(await service.mainPid(), "SIGKILL");
    await gone(service, `SIGKILL of conductor with ${seen} processes`);
    await Bun.$`systemctl reset-failed ${service.unit}`.quiet().nothrow();
  });
  writeFileSync(`${out}/${as}.log`, await service.log());
  await Bun.$`rm -rf /var/lib/conductor`.quiet();
}

mkdirSync(out, { recursive: true });
for (const as of ["root", "nobody"] as const) await scenario(as);
const findings: Findings = { kernel: release(), checks };
writeFileSync(`${out}/checks.json`, `${JSON.stringify(findings, null, 1)}\n`);
