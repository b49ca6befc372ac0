/** `ProcessHost` over Bun.spawn, with the means by which plugins are measured and ended. */

import { SystemClock } from "../../src/clock.ts";
import type { HostedProcess, ProcessEnd, ProcessHost, ProcessOrder } from "../../src/models/process-host.ts";
import { footprints } from "../../src/monitor/footprint.ts";
import { hasEnvironment, listProcesses, readProcess } from "../../src/plugins/proc-table.ts";
import { terminate } from "../../src/plugins/termination.ts";

const clock = new SystemClock();
let runs = 0;

export class TestProcessHost implements ProcessHost {
  readonly #mark = `CONDUCTOR_RUN=models-${process.pid}-${runs++}`;
  started = 0;

  /** Living processes that it started, and those that they started. */
  pids(): number[] {
    return listProcesses()
      .map(({ pid }) => pid)
      .filter((pid) => hasEnvironment(pid, [this.#mark]));
  }

  async start({ command, environment }: ProcessOrder): ReturnType<ProcessHost["start"]> {
    const [program = ""] = command;
    if (Bun.which(program) === null)
      return { ok: false, missing: true, message: `${program}: no such program` };
    const [name = "", value = ""] = this.#mark.split("=");
    const child = Bun.spawn([...command], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env.PATH ?? "", ...environment, [name]: value },
    });
    this.started++;
    return { ok: true, process: this.#hosted(child) };
  }

  #hosted(child: Bun.Subprocess<"ignore", "ignore", "pipe">): HostedProcess {
    const { pid } = child;
    const root = { pid, startTicks: readProcess(pid)?.startTicks ?? 0 };
    let lastLine: string | null = null;
    const reading = (async () => {
      for await (const chunk of child.stderr)
        lastLine = new TextDecoder().decode(chunk).trim().split("\n").at(-1) ?? lastLine;
    })();
    const target = {
      root,
      exited: child.exited,
      cgroup: null,
      mark: [this.#mark],
      never: new Set([process.pid]),
      beforeKill: () => undefined,
    };
    const end = async (urgent: AbortSignal, graceMs: number) => terminate(target, { graceMs, urgent, clock });
    const ended = child.exited.then(async (code): Promise<ProcessEnd> => {
      await reading;
      // What it left behind ends with it.
      await end(AbortSignal.abort(), 0);
      return { cause: `exited with ${child.signalCode ?? code}`, outOfMemory: false, lastLine };
    });
    return {
      ended,
      footprintBytes: () => {
        if (child.exitCode !== null) return null;
        return (
          footprints([{ plugin: "model", rootPids: [pid], cgroups: [], rootPidsOutside: [pid] }])[0]?.bytes ??
          null
        );
      },
      stop: async (graceMs) => {
        const { gone } = await end(new AbortController().signal, graceMs);
        return { gone };
      },
    };
  }
}
