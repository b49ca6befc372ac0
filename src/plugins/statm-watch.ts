/**
 * Holds plugins to their memory limit where no cgroup does: looks at what their process trees hold, and tells who is over.
 *
 *   every 250 ms, 100 ms while any tree is over 80 % of its limit: resident less shared pages (statm), summed
 *   every second: who belongs to each tree, by one reading of /proc for all; in between, children of known processes
 *   over the limit: both again, and the proportional share (PSS) too, before anybody is told
 *
 * What statm undercounts: memory shared on purpose (shared mappings, tmpfs), kernel memory, file cache; what a process
 * takes and gives back between two looks; a process that left its tree. What it overcounts: pages that processes share
 * since a fork and that neither has written to since, once for each; PSS counts them once, so a tree that is over by
 * statm alone is not over, and the difference is taken off until the tree is next read. PSS may not be readable (another
 * user's process): then statm decides.
 */

import { existsSync } from "node:fs";
import type { Clock, Timer } from "../clock.ts";
import { privateBytes, pssBytes } from "../monitor/process-memory.ts";
import { childPids, processTrees } from "../monitor/process-tree.ts";
import type { ProcessId } from "./proc-table.ts";

/** Called once, when a tree is over its limit: what it held, and its processes. */
export type OnOver = (heldBytes: number, pids: readonly number[]) => void;

/** Whether this system shows what processes hold. */
export const canWatchStatm = existsSync("/proc/self/statm");

const usualMs = 250;
const closeMs = 100;
/** From this share of the limit on it is looked at more often. */
const closeRatio = 0.8;
const treesEveryMs = 1_000;

interface Watched {
  root: ProcessId;
  limitBytes: number;
  onOver: OnOver;
  pids: Set<number>;
  /** By how much statm counted more than PSS, when both were read. */
  overcountBytes: number;
  /** Of the limit, at the last look. */
  usedRatio: number;
}

export class StatmWatch {
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  readonly #onBeat = (): void => this.#beat();
  #timer: Timer | null = null;
  #treesReadMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Watches over the tree of `root` until the result is called, or `onOver` was. */
  add(root: ProcessId, limitBytes: number, onOver: OnOver): () => void {
    const watched: Watched = {
      root,
      limitBytes,
      onOver,
      pids: new Set([root.pid]),
      overcountBytes: 0,
      usedRatio: 0,
    };
    this.#watched.add(watched);
    this.#timer ??= this.#clock.after(closeMs, this.#onBeat);
    return () => this.#remove(watched);
  }

  #remove(watched: Watched): void {
    this.#watched.delete(watched);
    if (this.#watched.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #beat(): void {
    this.#timer = null;
    try {
      this.look();
    } catch {
      return; // No descriptor to read /proc with, say: the next look, set below, tries again.
    } finally {
      const close = [...this.#watched].some(({ usedRatio }) => usedRatio >= closeRatio);
      if (this.#watched.size > 0) this.#timer ??= this.#clock.after(close ? closeMs : usualMs, this.#onBeat);
    }
  }

  /** Looks once at every tree. */
  look(): void {
    const nowMs = this.#clock.monotonicMs();
    const all = [...this.#watched];
    if (nowMs - this.#treesReadMs >= treesEveryMs) {
      this.#treesReadMs = nowMs;
      readTrees(all);
      // What was known of a tree's shared pages holds for the processes that it had.
      for (const watched of all) if (watched.overcountBytes > 0) this.#judge(watched);
    }
    for (const watched of all) {
      addChildren(watched.pids);
      const heldBytes = Math.max(0, statmBytes(watched.pids) - watched.overcountBytes);
      watched.usedRatio = heldBytes / watched.limitBytes;
      if (heldBytes <= watched.limitBytes || !this.#watched.has(watched)) continue;
      readTrees([watched]);
      this.#judge(watched);
    }
  }

  /** Compares both measures of a tree that was just read, and tells when the smaller one is over the limit. */
  #judge(watched: Watched): void {
    const bySharing = sharedOutBytes(watched.pids);
    const byStatm = statmBytes(watched.pids);
    watched.overcountBytes = Math.max(0, byStatm - bySharing);
    const heldBytes = byStatm - watched.overcountBytes;
    watched.usedRatio = heldBytes / watched.limitBytes;
    if (heldBytes <= watched.limitBytes) return;
    this.#remove(watched);
    watched.onOver(heldBytes, [...watched.pids]);
  }
}

function readTrees(all: readonly Watched[]): void {
  const trees = processTrees(all.map(({ root }) => [root.pid]));
  all.forEach((watched, index) => {
    watched.pids = new Set(trees[index]);
  });
}

/** Adds whom the known processes have started since; children of children too, as they are found. */
function addChildren(pids: Set<number>): void {
  for (const pid of pids) for (const child of childPids(pid)) pids.add(child);
}

/** What they hold by statm; those that are gone are forgotten. */
function statmBytes(pids: Set<number>): number {
  let sum = 0;
  for (const pid of pids) {
    const bytes = privateBytes(pid);
    if (bytes === null) pids.delete(pid);
    else sum += bytes;
  }
  return sum;
}

/** What they hold by PSS, and by statm where that may not be read. */
function sharedOutBytes(pids: ReadonlySet<number>): number {
  let sum = 0;
  for (const pid of pids) sum += pssBytes(pid) ?? privateBytes(pid) ?? 0;
  return sum;
}
