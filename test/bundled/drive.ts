/** Calls a plugin's definition as a host would, in this process. */

import type { Json, PluginContext, PluginDefinition, PluginRequest } from "conductor/plugin";

let sequence = 0;

/** What a plugin logged, by its message. */
export type Logged = { message: string; fields: Record<string, Json> }[];

/** Initializes `definition` as plugin `name`; what it logs goes to `logged`. */
export async function initialize(
  definition: PluginDefinition,
  name: string,
  config: Record<string, Json> = {},
  given: Partial<PluginContext> & { logged?: Logged } = {},
): Promise<void> {
  const { logged = [], ...context } = given;
  await definition.initialize?.(config, {
    name,
    folder: null,
    dataFolder: null,
    log: (message, fields = {}) => void logged.push({ message, fields }),
    ...context,
  });
}

/** One request; the answer as a loosely typed record, since each test knows what it asked. */
export async function ask(
  definition: PluginDefinition,
  request: Partial<PluginRequest> & { platform: string },
  signal: AbortSignal = new AbortController().signal,
): Promise<Record<string, Json>> {
  const full = { id: `request-${++sequence}`, type: "message", payload: null, ...request };
  const answer = await definition.handleRequest?.(full, { signal, deadlineMs: 5_000 });
  if (typeof answer !== "object" || answer === null || Array.isArray(answer))
    throw new Error(`expected an object, got ${JSON.stringify(answer)}`);
  return answer as Record<string, Json>;
}

/** The message with which `run` fails. */
export async function failure(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("expected a failure");
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const holder = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const port = Number(holder.port);
  await holder.stop(true);
  return port;
}

/** Polls until `holds`; fails after `deadlineMs`. */
export async function eventually(holds: () => boolean | Promise<boolean>, deadlineMs = 5_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`did not hold within ${deadlineMs} ms: ${holds}`);
    await Bun.sleep(5);
  }
}
