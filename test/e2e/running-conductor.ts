/** The compiled executable as a user runs it, in folders of its own, and the way to ask it. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";

export const root = join(import.meta.dir, "../..");
export const executable = join(root, "dist/conductor");

/** Polls `probe` until it yields something; throws `what` after `timeoutMs`. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  probe: () => T | Promise<T>,
): Promise<Exclude<T, undefined | null | false>> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false)
        return value as Exclude<T, undefined | null | false>;
    } catch (error) {
      last = error;
    }
    await Bun.sleep(25);
  }
  throw new Error(`${what}: not within ${timeoutMs} ms${last ? `; last error: ${last}` : ""}`);
}

/** Whether a process runs: not gone, not a zombie. */
export async function alive(pid: number): Promise<boolean> {
  const stat = await Bun.file(`/proc/${pid}/stat`)
    .text()
    .catch(() => "");
  return stat !== "" && !/\) [ZX] /.test(stat);
}

export interface StartOptions {
  config?: string;
  /** Manifests by plugin name; they end up in ./plugins. Further files by path. */
  files?: Record<string, string>;
  /** Wraps the command line, for instance into a cgroup. */
  wrap?: (command: string[]) => string[];
  environment?: Record<string, string>;
  args?: string[];
}

export class RunningConductor {
  private constructor(
    readonly folder: string,
    readonly process: Subprocess<"ignore", "ignore", "pipe">,
    readonly lines: string[],
  ) {}

  /** Starts it on a free port; resolves when /readyz answers 200. */
  static async start(options: StartOptions = {}): Promise<RunningConductor> {
    const folder = mkdtempSync(join(tmpdir(), "conductor-e2e-"));
    const files = { ...options.files };
    if (options.config !== undefined) files["conductor.yaml"] = options.config;
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const command = [executable, "serve", ...(options.args ?? [])];
    const child = Bun.spawn(options.wrap ? options.wrap(command) : command, {
      cwd: folder,
      env: {
        PATH: process.env.PATH ?? "",
        STATE_DIRECTORY: join(folder, "state"),
        CONDUCTOR_HTTP_PORT: "0",
        CONDUCTOR_LOG_FORMAT: "json",
        ...options.environment,
      },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const running = new RunningConductor(folder, child, []);
    running.#collect();
    try {
      await until("the server listens", 20_000, () => {
        if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}`);
        return running.#url;
      });
      await until("/readyz is 200", 20_000, async () => (await fetch(running.url("/readyz"))).status === 200);
    } catch (error) {
      await running.kill();
      running.remove();
      throw new Error(`${error}\n${running.lines.slice(-20).join("\n")}`);
    }
    return running;
  }

  #url: string | undefined;

  async #collect(): Promise<void> {
    let rest = "";
    for await (const chunk of this.process.stderr.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) {
        this.lines.push(line);
        this.#url ??= /"event":"http\.listening".*"url":"([^"]+)"/.exec(line)?.[1];
      }
    }
  }

  url(path: string): string {
    return `${(this.#url ?? "").replace(/\/$/, "")}${path}`;
  }

  async get<T = Record<string, unknown>>(path: string): Promise<T> {
    const response = await fetch(this.url(path));
    return (await response.json()) as T;
  }

  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.url(path), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  }

  /** Ends it as a user would; yields the exit code. */
  async terminate(): Promise<number> {
    this.process.kill("SIGTERM");
    return this.process.exited;
  }

  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
