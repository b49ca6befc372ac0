/** Tells, once for a burst of changes, that the plugins' folders are to be scanned again. */

import { type Clock, every, type Timer } from "../clock.ts";
import type { Log } from "../log.ts";
import { Burst } from "./burst.ts";
import { WatchedFolders, type WatchFolder, watchFolder } from "./watched-folders.ts";

/** A burst ends when nothing changed for so long, */
const quietMs = 300;
/** or so long after its first change. */
const longestMs = 2_000;
/** Where not everything can be watched, the folders are scanned this often. */
const rescanMs = 10_000;

export interface PluginWatchOptions {
  /** Absolute; they need not be there yet. */
  dirs: readonly string[];
  clock: Clock;
  log: Log;
  /** To be scanned again. Called after the watches are in place, so no later change is missed. */
  changed(): void;
  /** Absolute paths whose changes mean nothing, such as what a plugin may write to; asked anew each time. */
  ignored?(path: string): boolean;
  /** Default: the system's own. */
  watch?: WatchFolder;
}

/**
 *   watching --no watches left--> watching what it can, and scanning every 10 s --stop--> stopped
 */
export class PluginWatch {
  readonly #options: PluginWatchOptions;
  readonly #folders: WatchedFolders;
  readonly #burst: Burst;
  #rescan: Timer | null = null;
  #stopped = false;

  constructor(options: PluginWatchOptions) {
    this.#options = options;
    const { clock, dirs } = options;
    this.#burst = new Burst({ clock, quietMs, longestMs, run: () => this.#settle() });
    this.#folders = new WatchedFolders({
      roots: dirs,
      watch: options.watch ?? watchFolder,
      changed: () => this.#burst.note(),
      failed: (reason) => this.#scanInstead(reason),
      ignored: (path) => options.ignored?.(path) ?? false,
    });
  }

  /** Begins. To be called before the first scan, so that nothing falls between. */
  start(): void {
    this.#folders.refresh();
  }

  /** Folders watched now. */
  get watchedFolders(): number {
    return this.#folders.count;
  }

  /** Whether it also scans by the clock, since not everything can be watched. */
  get scansByTheClock(): boolean {
    return this.#rescan !== null;
  }

  stop(): void {
    this.#stopped = true;
    this.#burst.cancel();
    this.#rescan?.cancel();
    this.#rescan = null;
    this.#folders.close();
  }

  #settle(): void {
    this.#folders.refresh();
    this.#options.changed();
  }

  /** For good: watches that are free again may be gone the next moment. Said once. */
  #scanInstead(reason: string): void {
    if (this.#rescan || this.#stopped) return;
    this.#options.log.warn("plugins.watch_incomplete", { reason, rescanSeconds: rescanMs / 1_000 });
    this.#rescan = every(this.#options.clock, rescanMs, () => {
      this.#folders.refresh(true);
      this.#options.changed();
    });
  }
}
