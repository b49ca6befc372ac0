/** What the running conductor sends, printed until Ctrl-C (fine) or until it ends (failed, since nobody asked for that). */

import { followConductor } from "./client.ts";
import { CliError, exitCode, type Invocation } from "./command.ts";
import { type ServerEvent, serverEvents } from "./event-stream.ts";

/** Hands each event of `path` to `take`; yields the exit code. `goOn` says how to take up again what breaks off. */
export async function follow(
  invocation: Invocation,
  path: string,
  take: (event: ServerEvent) => void,
  goOn: () => string = () => "start it again to go on",
): Promise<number> {
  const interrupted = new AbortController();
  const onSignal = () => interrupted.abort();
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    const body = await followConductor(invocation, path, interrupted.signal);
    for await (const event of serverEvents(body)) take(event);
  } catch (error) {
    if (interrupted.signal.aborted) return exitCode.ok;
    if (error instanceof CliError) throw error;
    // The connection broke: said below, as when it was closed.
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
  if (interrupted.signal.aborted) return exitCode.ok;
  throw new CliError(`the conductor ended, or closed the connection; ${goOn()}`);
}
