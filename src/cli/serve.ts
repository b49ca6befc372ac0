import { SystemClock } from "../clock.ts";
import { startConductor } from "../conductor.ts";
import { ConfigError, loadConfig } from "../config/load.ts";
import { createLog } from "../log.ts";
import { commit, version } from "../version.ts";
import { CliError, type Command, configOption, exitCode, type Invocation, textFlag } from "./command.ts";

/** `conductor serve`: runs until TERM or INT. */
export const serveCommand: Command = {
  name: "serve",
  summary: "Run the plugins, watch memory, answer on HTTP",
  usage: "conductor serve [--config FILE] [--host ADDRESS] [--port PORT]",
  options: {
    ...configOption,
    host: { type: "string", help: "Address to listen on, in place of http.host" },
    port: {
      type: "string",
      short: "p",
      help: "Port to listen on, in place of http.port; 0 takes a free one",
    },
  },
  positionals: 0,
  run: serve,
};

/** The configuration with the command's own flags over file and environment. */
export function configuration(invocation: Invocation) {
  const { environment, folder } = invocation;
  const port = textFlag(invocation, "port");
  const host = textFlag(invocation, "host");
  return loadConfig({
    file: textFlag(invocation, "config") ?? environment.CONDUCTOR_CONFIG ?? null,
    folder,
    environment: {
      ...environment,
      ...(port === undefined ? {} : { CONDUCTOR_HTTP_PORT: port }),
      ...(host === undefined ? {} : { CONDUCTOR_HTTP_HOST: host }),
    },
  });
}

async function serve(invocation: Invocation): Promise<number> {
  const { terminal, environment } = invocation;
  const loaded = configuration(invocation);
  const { level, format } = loaded.config.log;
  const clock = new SystemClock();
  const log = createLog({
    level,
    format: format === "auto" ? (terminal.isTerminal ? "pretty" : "json") : format,
    nowMs: () => clock.nowMs(),
    write: (line) => process.stderr.write(line),
  });
  log.info("conductor.starting", { version, commit, pid: process.pid, config: loaded.file ?? "defaults" });
  const ended = Promise.withResolvers<string>();
  const onSignal = (signal: NodeJS.Signals) => ended.resolve(signal);
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  const starting = startConductor({ loaded, environment, clock, log });
  const early = await Promise.race([starting.then(() => null), ended.promise]);
  const conductor = await starting.catch((error: unknown) => {
    throw new CliError(error instanceof Error ? error.message : String(error));
  });
  process.on("SIGHUP", () => {
    try {
      conductor.reconfigure(configuration(invocation).config);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      log.error("conductor.reload_refused", { errors: error.lines });
    }
  });
  const signal = early ?? (await ended.promise);
  log.info("conductor.stopping", { signal });
  await conductor.stop();
  log.info("conductor.stopped", {});
  return exitCode.ok;
}
