/** A command of a plugin's manifest, run for it: a health check (exit code 0 is healthy), a reset after a failure. */

import { type Clock, sleep } from "../clock.ts";
import type { HealthReport } from "../sdk/plugin.ts";
import { ByteSocket } from "./byte-socket.ts";
import { childEnvironment } from "./child-environment.ts";
import type { Instance } from "./instance.ts";
import { LogLines } from "./log-lines.ts";
import { type PluginProcess, spawnPlugin } from "./plugin-process.ts";
import { terminate } from "./termination.ts";
import { type CallOptions, type CallResult, failed } from "./transport.ts";

const longestDetailChars = 500;
/** Unread output of the ended command is waited for so long. */
const flushMs = 100;

/** What a check needs to know of the plugin. */
export interface CheckSubject {
  instance: Instance;
  clock: Clock;
  runId: string;
  environment: Readonly<Record<string, string | undefined>>;
  never(): ReadonlySet<number>;
}

/** The last line that a command writes, to either stream. */
async function readLastLine({ fds }: PluginProcess, clock: Clock, bytesPerSecond: number) {
  const seen = { line: "" };
  const open = async (fd: number) => {
    const closed = Promise.withResolvers<void>();
    const lines = new LogLines(
      clock,
      (line) => {
        seen.line = line.slice(0, longestDetailChars);
      },
      bytesPerSecond,
    );
    const socket = await ByteSocket.open(fd, clock, {
      data: (chunk) => lines.push(chunk),
      closed: () => {
        lines.end();
        closed.resolve();
      },
    });
    return { socket, closed: closed.promise };
  };
  const streams = await Promise.all([fds.stdout, fds.stderr, fds.channel].map(open));
  const finish = async (): Promise<string> => {
    const flushed = Promise.all(streams.map(({ closed }) => closed));
    await Promise.race([flushed, sleep(clock, flushMs)]);
    for (const { socket } of streams) socket.close();
    return seen.line;
  };
  return { finish };
}

/**
 * Runs `command` in the plugin's folder and cgroups, with its environment and permissions. `what` is its key in the
 * manifest. Never rejects.
 */
export async function checkByCommand(
  command: readonly string[],
  subject: CheckSubject,
  { timeoutMs, signal }: CallOptions,
  what = "health.command",
): Promise<CallResult<HealthReport>> {
  const { instance, clock, runId } = subject;
  const { manifest, number, dataFolder } = instance.plan;
  const plugin = { name: manifest.name, runId, instance: number, runtime: "exec", dataFolder } as const;
  const spawned = spawnPlugin({
    ...instance.launchOptions,
    command,
    environment: childEnvironment(subject.environment, manifest.permissions.env, plugin),
    channel: "stdin",
  });
  if (!spawned.ok) return failed("unavailable", `${what} ${spawned.message}`);
  const child = spawned.process;
  const output = await readLastLine(child, clock, manifest.limits.logBytesPerSecond);
  const over = new AbortController();
  const abort = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
  const patience = sleep(clock, timeoutMs, abort).then(
    () => "timeout" as const,
    () => "cancelled" as const,
  );
  const ended = await Promise.race([child.exited, patience]);
  over.abort();
  // The plugin carries the same mark: only this command's own session and descendants are meant.
  const target = {
    root: child,
    exited: child.exited,
    cgroup: null,
    mark: [],
    never: subject.never(),
    beforeKill: () => undefined,
  };
  await terminate(target, { graceMs: 0, urgent: AbortSignal.abort(), clock });
  const line = await output.finish();
  if (ended === "timeout") return failed("timeout", `${what} did not end within ${Math.round(timeoutMs)} ms`);
  if (ended === "cancelled") return failed("cancelled", "the caller went away");
  const launched = await child.launched;
  if (!launched.ok) return failed("unavailable", `${what} ${launched.message}`);
  const detail = line || `health.command ended with ${ended.exitCode ?? ended.signal}`;
  return { ok: true, value: { status: ended.exitCode === 0 ? "healthy" : "unhealthy", detail } };
}
