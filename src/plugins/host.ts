/** The child side of `runtime: bun`: loads one plugin and answers the conductor's calls. */

import { join } from "node:path";
import { EventQueue } from "../events/event-queue.ts";
import type {
  Json,
  PluginAnswer,
  PluginContext,
  PluginDefinition,
  PluginEvent,
  PluginRequest,
} from "../sdk/plugin.ts";
import * as sdk from "../sdk/plugin.ts";
import { HostLink, type Incoming } from "./host-link.ts";
import type { Credit } from "./stream-credit.ts";
import { isStream, StreamOutlet } from "./stream-outlet.ts";

export interface HostOptions {
  /** The definition of a plugin inside the executable; null when there is none. */
  loadBundled(name: string): Promise<PluginDefinition | null>;
}

/** What the conductor sends first. `entry` is null for a plugin inside the executable. */
export interface InitializeParams {
  config: Record<string, Json>;
  name: string;
  folder: string | null;
  entry: string | null;
  dataFolder: string | null;
  /** Which of the modules inside the executable, where there is no entry. */
  module: string;
}

/** An answer that is an error: the code is JSON-RPC's. */
class HostError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** Makes "conductor/plugin" importable from anywhere on disk, with no node_modules near. */
function provideSdk(): void {
  Bun.plugin({
    name: "conductor",
    setup(build) {
      build.module("conductor/plugin", () => ({ exports: { ...sdk }, loader: "object" }));
    },
  });
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.slice(0, 5).map(String).join("; ");
  return error instanceof Error ? error.message || error.name : String(error);
}

const calls = ["initialize", "healthCheck", "handleRequest", "handleEvent", "shutdown"] as const;

async function load(params: InitializeParams, options: HostOptions): Promise<PluginDefinition> {
  if (params.entry === null) {
    const bundled = await options.loadBundled(params.module);
    if (!bundled) throw new HostError(-32_000, `no plugin called ${params.module} is in this executable`);
    return bundled;
  }
  const path = join(params.folder ?? ".", params.entry);
  let definition: PluginDefinition;
  try {
    definition = ((await import(path)) as { default?: PluginDefinition }).default ?? {};
  } catch (error) {
    throw new HostError(-32_000, `${params.entry} does not load: ${messageOf(error)}`);
  }
  const has = calls.filter((name) => typeof definition[name] === "function");
  if (has.length === 0)
    throw new HostError(
      -32_000,
      `${params.entry} has no plugin as its default export; write: export default definePlugin({ … })`,
    );
  return definition;
}

class Host {
  #definition: PluginDefinition = {};
  readonly #aborts = new Map<number, AbortController>();
  readonly #streams = new Map<number, StreamOutlet>();
  readonly #link: HostLink;
  readonly #options: HostOptions;
  /** At most 1,000 wait for a plugin that takes its time. */
  readonly #events = new EventQueue<PluginEvent>({
    take: (event, dropped) => this.#event(event, dropped),
    failed: (error) => this.#link.log(`handleEvent failed: ${messageOf(error)}`, {}),
    dropped: () => undefined, // The next one says how many were.
  });

  constructor(link: HostLink, options: HostOptions) {
    this.#link = link;
    this.#options = options;
  }

  receive(message: Incoming): void {
    if (message.method === "cancel") {
      const { id } = (message.params ?? {}) as { id?: number };
      this.#aborts.get(id ?? -1)?.abort(new Error("the caller went away or the deadline passed"));
    } else if (message.method === "credit") {
      const { id, ...credit } = message.params as unknown as Credit & { id: number };
      this.#streams.get(id)?.grant(credit);
    } else if (message.method === "event") this.#events.push(message.params as unknown as PluginEvent);
    else if (message.id !== undefined) void this.#answer(message.id, message.method, message.params);
  }

  async #answer(id: number, method: string, params: Json): Promise<void> {
    try {
      this.#link.result(id, await this.#run(id, method, params));
    } catch (error) {
      this.#link.error(id, error instanceof HostError ? error.code : -32_000, messageOf(error));
    } finally {
      this.#aborts.delete(id);
      this.#streams.delete(id);
    }
  }

  async #run(id: number, method: string, params: Json): Promise<unknown> {
    if (method === "initialize") return this.#initialize(params as unknown as InitializeParams);
    if (method === "health_check")
      return this.#definition.healthCheck ? this.#definition.healthCheck() : { status: "healthy" };
    if (method === "handle_request") return this.#request(id, params);
    if (method === "shutdown") {
      await this.#definition.shutdown?.();
      return { ok: true };
    }
    throw new HostError(-32_601, `unknown method ${method}`);
  }

  async #initialize(params: InitializeParams): Promise<{ ok: true; events: readonly string[] }> {
    const context: PluginContext = {
      name: params.name,
      folder: params.folder,
      dataFolder: params.dataFolder,
      log: (message, fields) => this.#link.log(message, fields ?? {}),
    };
    this.#definition = await load(params, this.#options);
    await this.#definition.initialize?.(params.config, context);
    const { events = [], handleEvent } = this.#definition;
    if (events.length > 0 && !handleEvent)
      throw new HostError(-32_000, "the plugin names events, but has no handleEvent to take them");
    return { ok: true, events };
  }

  async #event(event: PluginEvent, dropped: number): Promise<void> {
    const lost = (event.dropped ?? 0) + dropped;
    await this.#definition.handleEvent?.(lost > 0 ? { ...event, dropped: lost } : event);
  }

  async #request(id: number, params: Json): Promise<Json> {
    if (!this.#definition.handleRequest) throw new HostError(-32_601, "the plugin handles no requests");
    const { request, deadlineMs } = params as unknown as { request: PluginRequest; deadlineMs: number };
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    const answer: PluginAnswer = await this.#definition.handleRequest(request, {
      signal: abort.signal,
      deadlineMs,
    });
    if (!isStream(answer)) return answer;
    const outlet = new StreamOutlet((chunk) => this.#link.chunk(id, chunk), abort.signal);
    this.#streams.set(id, outlet);
    return { streamed: await outlet.run(answer) };
  }
}

/**
 * Runs the host until the conductor closes the link or ends the process. The link is file descriptor 3, which only the
 * conductor can give: started by hand, this says so and exits 2.
 */
export async function runHost(_argv: readonly string[], options: HostOptions): Promise<number> {
  provideSdk();
  const ended = Promise.withResolvers<number>();
  try {
    const link = await HostLink.open(3, () => ended.resolve(0));
    const host = new Host(link, options);
    link.start((message) => host.receive(message));
  } catch {
    process.stderr.write("__host is started by conductor itself; run: conductor serve\n");
    return 2;
  }
  // The link is gone: nobody can use this process any more, whatever the plugin still does.
  process.exit(await ended.promise);
}
