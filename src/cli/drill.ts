import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemClock, sleep } from "../clock.ts";
import { configSchema } from "../config/schema.ts";
import { formatBytes, formatDuration, formatPercent, parseBytes } from "../config/units.ts";
import { type OwnRole, startOwnRole } from "../plugins/own-role.ts";
import { selfCommand } from "../plugins/self-command.ts";
import {
  CliError,
  type Command,
  exitCode,
  type Invocation,
  outputOption,
  textFlag,
  wantsJson,
} from "./command.ts";
import { checkHeadroom, DrillPlace } from "./drill/place.ts";
import { runDrill, type SceneReport } from "./drill/run.ts";
import { leastHogBytes, type SceneName, type Sizes, sceneNames, sceneOf, sizesFor } from "./drill/scenes.ts";
import { Subject, type SubjectOptions } from "./drill/subject.ts";
import { table } from "./table.ts";

const MiB = 2 ** 20;
const leastBytes = 48 * MiB;
const mostBytes = 4_096 * MiB;
const usualSize = "64MiB";
const policies = ["mission", "adaptive"] as const;
/** As a shell tells it of a program that INT ended. */
const interruptedCode = 130;

/** `conductor drill`: whether shedding works on this host, shown with a small conductor in a cgroup of its own. */
export const drillCommand: Command = {
  name: "drill",
  summary: "Show on this host that shedding works, in a memory cgroup of its own",
  usage: `conductor drill [${sceneNames.join(" | ")} | all] [--size 64MiB] [--policy mission] [-o json]`,
  options: {
    size: {
      type: "string",
      help: `Most memory that the drill's hog takes, 48MiB to 4GiB (default: ${usualSize})`,
    },
    policy: { type: "string", help: `${policies.join(" or ")} (default: ${policies[0]})` },
    ...outputOption,
  },
  positionals: 1,
  notes: [
    "A small conductor of its own, with three tiny plugins, runs in a memory cgroup with a hard limit; one of the plugins",
    "takes memory until it is shed. Nothing else on the host is touched, and nothing is left behind. It needs a memory",
    "cgroup that can be written to, and four times the size of free memory. As a systemd service has one:",
    "  systemd-run --pipe --wait -p Delegate=yes conductor drill",
    "Exit code 0: shed in time and restored, nothing killed by the kernel; 1: not so, or it could not be run.",
  ],
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const scenes = askedScenes(invocation);
    const hogBytes = askedSize(invocation);
    const policy = askedPolicy(invocation);
    checkHeadroom(hogBytes);
    const interrupted = new AbortController();
    const onSignal = () => interrupted.abort(new Error("interrupted"));
    process.on("SIGINT", onSignal).on("SIGTERM", onSignal).on("SIGHUP", onSignal);
    try {
      const { reports, sizes, emergencyRatio } = await drill(invocation, {
        scenes,
        hogBytes,
        policy,
        signal: interrupted.signal,
      });
      const ok = reports.every((report) => report.ok);
      if (json) invocation.terminal.out(JSON.stringify({ ok, policy, sizes, drills: reports }, null, 2));
      else invocation.terminal.out(text(reports, sizes, { policy, emergencyRatio }));
      return ok ? exitCode.ok : exitCode.failed;
    } catch (error) {
      if (!interrupted.signal.aborted) throw error;
      invocation.terminal.err("conductor: the drill was interrupted");
      return interruptedCode;
    }
  },
};

function askedScenes({ positionals }: Invocation): readonly SceneName[] {
  const [asked = "all"] = positionals;
  if (asked === "all") return sceneNames;
  const found = sceneNames.find((name) => name === asked);
  if (found) return [found];
  throw new CliError(`${asked}: expected one of ${[...sceneNames, "all"].join(", ")}`, exitCode.usage);
}

function askedSize(invocation: Invocation): number {
  const given = textFlag(invocation, "size") ?? usualSize;
  const bytes = parseBytes(given);
  if (typeof bytes === "string") throw new CliError(`--size ${given}: ${bytes}`, exitCode.usage);
  if (bytes >= leastBytes && bytes <= mostBytes) return bytes;
  throw new CliError(
    `--size ${given}: expected ${formatBytes(leastBytes)} to ${formatBytes(mostBytes)}`,
    exitCode.usage,
  );
}

function askedPolicy(invocation: Invocation): (typeof policies)[number] {
  const given = textFlag(invocation, "policy") ?? policies[0];
  const found = policies.find((name) => name === given);
  if (found) return found;
  throw new CliError(`--policy ${given}: expected ${policies.join(" or ")}`, exitCode.usage);
}

interface Asked {
  scenes: readonly SceneName[];
  hogBytes: number;
  policy: (typeof policies)[number];
  signal: AbortSignal;
}

/** Long enough that what starts has settled. */
const settleMs = 1_500;

/** Runs them one after the other, each on a conductor of its own. Whatever happens, the cleaner takes all away. */
async function drill(invocation: Invocation, { scenes, hogBytes, policy, signal }: Asked) {
  const { terminal, environment } = invocation;
  const clock = new SystemClock();
  const self = selfCommand(process.execPath, Bun.main);
  const place = DrillPlace.take(`drill-${process.pid}`);
  // Made by the conductor that needs it first, so that nothing lies there before the cleaner runs.
  const folder = join(tmpdir(), `conductor-drill-${process.pid}-${crypto.randomUUID().slice(0, 8)}`);
  const { version, folder: runFolder } = place.run;
  const cleaner = startOwnRole(
    self,
    ["__drill-cleaner", String(version), runFolder, folder, String(process.pid)],
    { folder: "/", environment: {} },
  );
  const say = (line: string) => terminal.err(line);
  const { emergency } = configSchema.parse({ scaler: { policy } }).scaler;
  let started = 0;
  const start = async (options: Pick<SubjectOptions, "budgetBytes" | "hog">): Promise<Subject> => {
    const own = join(folder, String(++started));
    const common = { clock, selfCommand: self, environment, procsFile: place.procsFile, policy, ...options };
    const subject = Subject.start({ ...common, folder: own });
    cleaner.tell(`${subject.role.pid}\n`);
    await subject.ready(signal);
    return subject;
  };
  try {
    place.limit(hogBytes * 4);
    say(`drill in ${place.folder}: measuring what rests`);
    const idle = await start({ budgetBytes: hogBytes * 4, hog: [] });
    await sleep(clock, settleMs, signal);
    const meter = place.meter();
    const restBytes = meter.usedBytes() ?? 0;
    meter.close();
    await idle.stop();
    if (leastHogBytes(restBytes) > hogBytes)
      throw new CliError(
        `--size ${formatBytes(hogBytes)} is too small beside the ${formatBytes(restBytes)} that the drill's conductor holds: take at least --size ${Math.ceil(leastHogBytes(restBytes) / MiB)}MiB`,
        exitCode.usage,
      );
    const sizes = sizesFor(hogBytes, restBytes);
    place.limit(sizes.limitBytes);
    const reports: SceneReport[] = [];
    for (const name of scenes) {
      const scene = sceneOf(name, sizes);
      const subject = await start({ budgetBytes: sizes.budgetBytes, hog: scene.steps });
      reports.push(
        await runDrill({ clock, place, subject, scene, sizes, emergencyRatio: emergency, signal, say }),
      );
      await subject.stop();
    }
    return { reports, sizes, emergencyRatio: emergency };
  } finally {
    await clean(cleaner, terminal);
  }
}

async function clean(cleaner: OwnRole, terminal: Invocation["terminal"]): Promise<void> {
  cleaner.hangUp();
  for await (const line of cleaner.lines) terminal.err(`conductor: ${line}`);
  await cleaner.exited;
}

const orDash = (ms: number | null): string => (ms === null ? "-" : formatDuration(ms));
const bytesOrDash = (bytes: number | null): string => (bytes === null ? "-" : formatBytes(bytes));

const headings = [
  "drill",
  "result",
  "shed by",
  "noticed",
  "signalled",
  "reclaimed",
  "restored",
  "expected",
  "back",
  "most used",
  "over the line",
  "kernel kills",
];

function text(
  reports: readonly SceneReport[],
  { budgetBytes, hogBytes, restBytes }: Sizes,
  { policy, emergencyRatio }: { policy: string; emergencyRatio: number },
): string {
  const rows = reports.map((report) => [
    report.scene,
    report.ok ? "ok" : "FAILED",
    [...new Set(report.rules)].join(", ") || "-",
    orDash(report.noticedMs),
    orDash(report.signalMs),
    orDash(report.reclaimMs),
    orDash(report.restoreMs),
    bytesOrDash(report.expectedBytes),
    bytesOrDash(report.backBytes),
    formatPercent(report.peakBytes / report.budgetBytes),
    formatDuration(report.overEmergencyMs),
    String(report.kernelKills),
  ]);
  const problems = reports.flatMap(({ scene, problems: all }) =>
    all.map((problem) => `${scene}: ${problem}`),
  );
  return [
    `policy ${policy}, budget ${formatBytes(budgetBytes)}: ${formatBytes(restBytes)} at rest, a hog of up to ${formatBytes(hogBytes)}`,
    "",
    table([headings, ...rows]),
    "",
    "noticed: from the crossing of the line to the reading that saw it (-: shed on the forecast, before the line)",
    "signalled: from that reading to the first signal; reclaimed: from there until the last process was gone",
    `over the line: how long ${formatPercent(emergencyRatio)} of the budget or more was in use, the emergency line`,
    ...problems,
  ].join("\n");
}
