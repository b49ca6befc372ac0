/** The small conductor of a drill: three tiny plugins in its cgroup, of which the hog is the second to be shed. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "../../clock.ts";
import { type OwnRole, startOwnRole } from "../../plugins/own-role.ts";
import { type HogStep, hogArguments } from "./hog.ts";
import { restingHogBytes } from "./scenes.ts";

/** Degradation order: the last stays. */
export const order = ["first", "hog", "last"] as const;

export interface SubjectOptions {
  clock: Clock;
  selfCommand: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  /** Its own, empty. */
  folder: string;
  procsFile: string;
  policy: string;
  budgetBytes: number;
  hog: readonly HogStep[];
}

/** An action of a decision, as the API tells it. */
export interface ActionView {
  kind: string;
  plugin: string;
  urgent: boolean;
  expectedBytes: number | null;
  actualBytes?: number | null;
  durationMs?: number;
  noticedMs?: number;
  signalMs?: number;
  startedAt?: string;
  detail?: string;
}

export interface DecisionView {
  at: string;
  rule: string;
  reason: string;
  actions: ActionView[];
}

const readyMs = 30_000;
const stopMs = 12_000;
const askMs = 5_000;
const keptLines = 30;
const pollMs = 50;

const configuration = ({
  policy,
  budgetBytes,
}: SubjectOptions): string => `budget: { memory: ${budgetBytes}B }
monitor: { interval: 1s }
forecast: { horizon: 5s }
plugins: { dirs: [plugins], bundled: false, grace: 1s }
scaler: { policy: ${policy}, order: [${order.join(", ")}], dwell: 2s, putOff: { initial: 0s, max: 0s } }
log: { level: info, format: json }
`;

const manifest = (name: string, command: readonly string[]): string => `name: ${name}
version: 1.0.0
runtime: exec
protocol: none
command: ${JSON.stringify(command)}
start: eager
health: { kind: none }
`;

export class Subject {
  readonly #lines: string[] = [];
  #url: string | null = null;
  #ended = false;

  private constructor(
    readonly options: SubjectOptions,
    readonly role: OwnRole,
  ) {}

  /** Starts it; `ready` tells when all of its plugins run. */
  static start(options: SubjectOptions): Subject {
    const { folder, selfCommand, environment, procsFile } = options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, "conductor.yaml"), configuration(options));
    for (const name of order) {
      mkdirSync(join(folder, "plugins", name), { recursive: true });
      const args =
        name === "hog" ? hogArguments(restingHogBytes, options.hog) : hogArguments(restingHogBytes, []);
      const text = manifest(name, [...selfCommand, "__hog", ...args]);
      writeFileSync(join(folder, "plugins", name, "plugin.yaml"), text);
    }
    const role = startOwnRole(selfCommand, ["__drill-serve", procsFile, "--port", "0"], {
      folder,
      environment: { PATH: environment.PATH ?? "", STATE_DIRECTORY: join(folder, "state") },
    });
    const subject = new Subject(options, role);
    void subject.#follow();
    return subject;
  }

  async #follow(): Promise<void> {
    void this.role.exited.then(() => {
      this.#ended = true;
    });
    for await (const line of this.role.lines) {
      this.#lines.push(line);
      if (this.#lines.length > keptLines) this.#lines.shift();
      this.#url ??= /"event":"http\.listening".*"url":"([^"]+)"/.exec(line)?.[1]?.replace(/\/$/, "") ?? null;
    }
  }

  /** Waits until every plugin runs. Throws with its last lines when that does not come about. */
  async ready(signal: AbortSignal): Promise<void> {
    await this.until("every plugin of the drill runs", readyMs, signal, async () => {
      const { plugins } = await this.get<{ plugins: { state: string }[] }>("/api/v1/plugins");
      return plugins.length === order.length && plugins.every(({ state }) => state === "ready");
    });
  }

  /** Polls `probe`; throws `what` and the last lines after `withinMs`, or at once when the conductor ended. */
  async until(
    what: string,
    withinMs: number,
    signal: AbortSignal,
    probe: () => Promise<boolean>,
  ): Promise<void> {
    const { clock } = this.options;
    const endMs = clock.monotonicMs() + withinMs;
    let last = "";
    while (clock.monotonicMs() < endMs && !this.#ended) {
      try {
        if (this.#url !== null && (await probe())) return;
      } catch (error) {
        last = `; ${error instanceof Error ? error.message : error}`;
      }
      await sleep(clock, pollMs, signal);
    }
    const how = this.#ended ? "its conductor ended" : `not within ${withinMs / 1_000} s`;
    throw new Error(`${what}: ${how}${last}\n${this.#lines.slice(-8).join("\n")}`);
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, { signal: AbortSignal.timeout(askMs) });
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
    return (await response.json()) as T;
  }

  async pidOf(plugin: string): Promise<number> {
    const { pids } = await this.get<{ pids: number[] }>(`/api/v1/plugins/${plugin}`);
    const [pid] = pids;
    if (pid === undefined) throw new Error(`${plugin} has no process`);
    return pid;
  }

  /** Sheds and restores so far, the oldest first. */
  async decisions(): Promise<DecisionView[]> {
    const path = "/api/v1/scaling/decisions?limit=100";
    return (await this.get<{ decisions: DecisionView[] }>(path)).decisions.toReversed();
  }

  /** What the scaler said last, for a restore that does not come. */
  async verdict(): Promise<string> {
    const { verdict } = await this.get<{ verdict: { reason: string } | null }>("/api/v1/scaling/status");
    return verdict?.reason ?? "no evaluation yet";
  }

  /** Ends it as a user would, and makes sure. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.role.kill("SIGTERM");
    const timer = this.options.clock.after(stopMs, () => this.role.kill("SIGKILL"));
    await this.role.exited;
    timer.cancel();
  }
}
