import { SystemClock } from "../clock.ts";
import { configSchema } from "../config/schema.ts";
import { formatBytes, formatDuration, formatPercent, parseBytes } from "../config/units.ts";
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
import { checkHeadroom } from "./drill/place.ts";
import type { SceneReport } from "./drill/run.ts";
import { type SceneName, type Sizes, sceneNames } from "./drill/scenes.ts";
import { DrillSession } from "./drill/session.ts";
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

/** Runs them one after the other. Whatever happens, the cleaner takes all away. */
async function drill(invocation: Invocation, { scenes, hogBytes, policy, signal }: Asked) {
  const { terminal, environment } = invocation;
  const { emergency: emergencyRatio } = configSchema.parse({ scaler: { policy } }).scaler;
  const session = DrillSession.open({
    clock: new SystemClock(),
    selfCommand: selfCommand(process.execPath, Bun.main),
    environment,
    policy,
    emergencyRatio,
    hogBytes,
    signal,
    say: (line) => terminal.err(line),
  });
  try {
    await session.measure();
    const reports: SceneReport[] = [];
    for (const name of scenes) reports.push(await session.run(name));
    return { reports, sizes: session.sizes, emergencyRatio };
  } finally {
    for (const line of await session.close()) terminal.err(`conductor: ${line}`);
  }
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
