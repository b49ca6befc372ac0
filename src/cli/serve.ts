import { type Clock, SystemClock } from "../clock.ts";
import { type RunningConductor, startConductor } from "../conductor.ts";
import { ConfigError, type LoadedConfig } from "../config/load.ts";
import { createLog, type Log } from "../log.ts";
import { protectOwnProcess } from "../plugins/oom-score.ts";
import { goFirst } from "../plugins/own-priority.ts";
import { commit, version } from "../version.ts";
import { CliError, type Command, configOption, exitCode, type Invocation } from "./command.ts";
import { configuration } from "./configuration.ts";
import { LineWriter } from "./line-writer.ts";

/** `conductor serve`: runs until TERM or INT. */
export const serveCommand: Command = {
  name: "serve",
  summary: "Run the plugins, watch memory, answer on HTTP",
  usage: "conductor serve [--config FILE] [--host ADDRESS] [--port PORT] [--throughput]",
  options: {
    ...configOption,
    host: { type: "string", help: "Address to listen on, in place of http.host" },
    port: {
      type: "string",
      short: "p",
      help: "Port to listen on, in place of http.port; 0 takes a free one",
    },
    throughput: {
      type: "boolean",
      help: "Answers about twice as many requests a second, for some 20 MiB more",
    },
  },
  positionals: 0,
  run: serve,
};

const stderrFd = 2;
/** For the last lines of the log, if nobody reads them; what ends conductor waits for no more than 10 s in all. */
const flushMs = 300;

async function serve(invocation: Invocation): Promise<number> {
  const { terminal } = invocation;
  const loaded = configuration(invocation);
  const { level, format } = loaded.config.log;
  const clock = new SystemClock();
  let running: RunningConductor | null = null;
  const lines = new LineWriter(stderrFd, clock, (count) => {
    running?.countLogDrops(count);
    log.warn("log.dropped", { lines: count });
  });
  const log = createLog({
    level,
    format: format === "auto" ? (terminal.isTerminal ? "pretty" : "json") : format,
    nowMs: () => clock.nowMs(),
    write: (line) => lines.write(line),
  });
  try {
    return await runUntilSignal(invocation, loaded, clock, log, (conductor) => {
      running = conductor;
    });
  } finally {
    await lines.flush(flushMs);
  }
}

async function runUntilSignal(
  invocation: Invocation,
  loaded: LoadedConfig,
  clock: Clock,
  log: Log,
  onStarted: (conductor: RunningConductor) => void,
): Promise<number> {
  const { environment } = invocation;
  // Registered before anything is told: whoever reads that it starts may send them, and by default they would end the process.
  const ended = Promise.withResolvers<string>();
  const onSignal = (signal: NodeJS.Signals) => ended.resolve(signal);
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  const reloading = () => void reload(invocation, starting, log);
  process.on("SIGHUP", reloading);
  const oomScoreAdj = protectOwnProcess();
  log.info("conductor.starting", {
    version,
    commit,
    pid: process.pid,
    oomScoreAdj,
    niceness: goFirst(),
    config: loaded.file ?? "defaults",
  });
  const starting = startConductor({ loaded, environment, clock, log });
  const early = await Promise.race([starting.then(() => null), ended.promise]);
  const conductor = await starting.catch((error: unknown) => {
    throw new CliError(error instanceof Error ? error.message : String(error));
  });
  onStarted(conductor);
  const signal = early ?? (await ended.promise);
  log.info("conductor.stopping", { signal });
  await conductor.stop();
  log.info("conductor.stopped", {});
  return exitCode.ok;
}

/** Takes over the configuration as it is now; a wrong one is refused, and the old one stays. */
async function reload(invocation: Invocation, starting: Promise<RunningConductor>, log: Log): Promise<void> {
  try {
    const { config } = configuration(invocation);
    (await starting).reconfigure(config);
  } catch (error) {
    const errors = error instanceof ConfigError ? error.lines : [String(error)];
    log.error("conductor.reload_refused", { errors, remedy: "correct the configuration and send HUP again" });
  }
}
