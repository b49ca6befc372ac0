/** Real processes that hold memory, and a real memory cgroup to hold them in. */

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { enclosingCgroups, type MemoryCgroup } from "../../src/monitor/cgroups.ts";

/** Polls until `probe` yields something other than null and false; throws `what` after `timeoutMs`. */
export async function until<T>(what: string, probe: () => T | null | false, timeoutMs = 10_000): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = probe();
    if (value !== null && value !== false) return value;
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await Bun.sleep(5);
  }
}

/** False also for a zombie. */
export function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) [ZX] /.test(readFileSync(path, "latin1"));
}

/** One `holder-process.ts`, leader of its own session. */
export class Holder {
  readonly #process = Bun.spawn([process.execPath, join(import.meta.dir, "holder-process.ts")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    detached: true,
  });
  readonly #answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  #rest = "";

  get pid(): number {
    return this.#process.pid;
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  /** Sends without waiting. */
  tell(line: string): void {
    this.#process.stdin.write(`${line}\n`);
    this.#process.stdin.flush();
  }

  async ask<T>(line: string): Promise<T> {
    this.tell(line);
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#answers.read();
      if (done) throw new Error(`the holder ended instead of answering: ${line}`);
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const answer = JSON.parse(this.#rest.slice(0, end)) as T;
    this.#rest = this.#rest.slice(end + 1);
    return answer;
  }

  async end(): Promise<void> {
    this.#process.stdin.end();
    await this.#process.exited;
  }
}

/** A memory cgroup below this process's own. */
export class TestCgroup implements MemoryCgroup {
  readonly version: 1 | 2;
  readonly folder: string;

  /** Null where none can be made: no controller, or no permission. */
  static make(name: string, limitBytes: number): TestCgroup | null {
    const [parent] = enclosingCgroups();
    if (!parent) return null;
    const folder = join(parent.folder, `conductor-${name}-${process.pid}`);
    try {
      mkdirSync(folder);
    } catch {
      return null; // Not ours to make.
    }
    const cgroup = new TestCgroup(parent.version, folder);
    if (existsSync(cgroup.#limitFile)) {
      cgroup.limit(limitBytes);
      return cgroup;
    }
    cgroup.remove();
    return null;
  }

  private constructor(version: 1 | 2, folder: string) {
    this.version = version;
    this.folder = folder;
  }

  get #limitFile(): string {
    return join(this.folder, this.version === 1 ? "memory.limit_in_bytes" : "memory.max");
  }

  limit(bytes: number): void {
    writeFileSync(this.#limitFile, String(bytes));
  }

  add(pid: number): void {
    writeFileSync(join(this.folder, "cgroup.procs"), String(pid));
  }

  /** Fails when a process was left inside. */
  remove(): void {
    rmdirSync(this.folder);
  }
}
