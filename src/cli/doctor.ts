import { storagePath } from "../conductor/make-state.ts";
import type { Support } from "../plugins/enforcement.ts";
import { limitsSupport } from "../plugins/limits-support.ts";
import { sandboxSupport } from "../plugins/sandbox-support.ts";
import { selfCommand } from "../plugins/self-command.ts";
import { type Command, exitCode, outputOption, serverOption, wantsJson } from "./command.ts";
import { configuration } from "./configuration.ts";
import { oomScoreSupport, portSupport, pressureSupport, stateSupport, swapSupport } from "./doctor-checks.ts";
import { doctorText, statusOf, unitExcerpt } from "./doctor-text.ts";
import { modelsSupport } from "./model-support.ts";

/** `conductor doctor`: what this host can enforce and what it lacks, each with what would grant it. */
export const doctorCommand: Command = {
  name: "doctor",
  summary: "Check what this host can enforce, and how to get what is missing",
  usage: "conductor doctor [--config FILE] [--port PORT] [-o json]",
  options: { ...serverOption, ...outputOption },
  positionals: 0,
  notes: [
    "It speaks for a conductor started where it runs itself. As a systemd service would be:",
    "  systemd-run --pipe --wait -p Delegate=yes -p OOMScoreAdjust=-900 conductor doctor",
    "Exit code 0: all is there; 1: something is missing, or held only in part.",
  ],
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const { config, baseFolder } = configuration(invocation);
    const place = storagePath(config, baseFolder);
    const checks: Support[] = [
      ...limitsSupport(),
      ...(await sandboxSupport(selfCommand(process.execPath, Bun.main))),
      pressureSupport(),
      swapSupport(),
      oomScoreSupport(),
      stateSupport(place, invocation.environment),
      await portSupport(config.http.host, config.http.port),
      ...(await modelsSupport(config, place, invocation.environment)),
    ];
    const ok = checks.every(({ missing }) => missing === null);
    if (json) {
      const told = checks.map((check) => ({ ...check, status: statusOf(check) }));
      invocation.terminal.out(JSON.stringify({ ok, checks: told, unit: unitExcerpt }, null, 2));
    } else invocation.terminal.out(doctorText(checks));
    return ok ? exitCode.ok : exitCode.failed;
  },
};
