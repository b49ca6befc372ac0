/** What the contract is checked of, and with what. */

import type { Clock } from "../../clock.ts";
import type { Json } from "../../sdk/plugin.ts";
import type { CheckResult } from "./check.ts";

export interface ContractOptions {
  /** The plugin's folder, absolute. */
  folder: string;
  /** Settings that the plugin is started with; null: those under its name in `config`, else none. */
  settings: Record<string, Json> | null;
  /** Settings of plugins, by name. */
  config: Readonly<Record<string, Record<string, Json>>>;
  /** Of the requests that are sent to it. */
  type: string;
  payload: Json;
  startTimeoutMs: number;
  /** From SIGTERM to SIGKILL, and before that for drain and the shutdown call together. */
  graceMs: number;
  clock: Clock;
  /** How this program starts itself; see `selfCommand`. */
  selfCommand: readonly string[];
  environment: Readonly<Record<string, string | undefined>>;
  /** Unique on this host; [a-z0-9-], at most 32 characters. */
  runId: string;
  onResult(result: CheckResult): void;
  /** Aborted, it skips what remains and cleans up. */
  signal: AbortSignal;
}

/** What the plugin called `name` is initialized with. */
export const settingsOf = ({ settings, config }: ContractOptions, name: string): Record<string, Json> =>
  settings ?? config[name] ?? {};
