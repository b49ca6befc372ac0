/** What the plugin manager is made from. */

import type { Clock } from "../clock.ts";
import type { Publisher } from "../events/bus.ts";
import type { Log } from "../log.ts";
import type { Json } from "../sdk/plugin.ts";
import type { CgroupPlaces } from "./cgroup-place.ts";
import type { DisabledStore } from "./disabled.ts";
import type { BundledPlugin } from "./discovery.ts";
import type { EventSource } from "./event-delivery.ts";
import type { Withheld } from "./launch/spec.ts";
import type { Permission } from "./supervisor-ports.ts";

export interface PluginManagerOptions {
  /** Absolute paths of folders that hold one folder a plugin. */
  dirs: readonly string[];
  bundled: readonly BundledPlugin[];
  /** Handed to the plugin of that name when it starts. */
  config: Readonly<Record<string, Record<string, Json>>>;
  /** Degradation order: the first is the kernel's first victim too. Plugins that it does not name come before it. */
  order: readonly string[];
  /** From SIGTERM to SIGKILL, and before that for drain and the shutdown call together. */
  graceMs: number;
  startTimeoutMs: number;
  clock: Clock;
  log: Log;
  publisher: Publisher;
  /** What happens, for plugins that want to be told; absent: they are told nothing. */
  events?: EventSource;
  /** 0..1, for the jitter of restarts and the choice between processes. */
  random(): number;
  /** Unique for this run of conductor; [a-z0-9-], at most 32 characters. */
  runId: string;
  /** How this program starts itself; see `selfCommand`. */
  selfCommand: readonly string[];
  /** The conductor's own environment; a plugin is given little of it. */
  environment: Readonly<Record<string, string | undefined>>;
  /** A folder that the plugin may write to; null when there is none. */
  dataFolder(plugin: string): string | null;
  /** What no plugin may read, absolute, asked at each start: conductor's state folder and configuration file. */
  hiddenPaths?(): readonly string[];
  /** Means of the kernel to do without, as on a host that lacks them. */
  withhold?: readonly Withheld[];
  /** Asked before each start that no person ordered: is there memory for it? */
  mayStart(plugin: string): Permission;
  /** Asked before a second copy of a running plugin is started beside it: is there memory for both? */
  mayOverlap?(plugin: string): Permission;
  /** Told when only one of the two is left, whichever. */
  overlapEnded?(plugin: string): void;
  /** Where proven versions of plugins are kept, to go back to; asked once, by `startAll`. Null or absent: nowhere. */
  keptFolder?(): string | null;
  /** Where it is kept what an administrator disabled; null or absent: nowhere. */
  disabledStore?(): DisabledStore | null;
  /** Whether the folders are watched, and what changes in them is acted on; default: no. */
  watch?: boolean;
  /** For the health checks that a new version must pass before it takes over; default 2 s. */
  healthTimeoutMs?: number;
  /** Failed checks in a row after which one of several processes is exchanged for another; default 3. */
  healthFailures?: number;
  /** The cgroups to make others below; default: those this process is in. Null: use none. */
  cgroupPlace?: CgroupPlaces | null;
}
