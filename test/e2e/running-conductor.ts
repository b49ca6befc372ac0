/** The compiled executable as a user runs it, in folders of its own, and the way to ask it. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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

export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

export interface StartOptions {
  config?: string;
  /** Files by path, such as plugins/NAME/plugin.yaml. */
  files?: Record<string, string>;
  /** Wraps the command line, for instance into a cgroup. */
  wrap?: (command: string[]) => string[];
  environment?: Record<string, string>;
  /** Nothing in the environment but `environment` and a free port. */
  bare?: boolean;
  args?: string[];
  executable?: string;
  /** Of an earlier run; default: a new one. */
  folder?: string;
  /** The working directory; default: the folder. */
  cwd?: string;
  /** What is waited for; default: /readyz is 200. */
  until?: "ready" | "listening" | "spawned";
}

export interface PluginInfo {
  name: string;
  state: string;
  reason: string;
  pids: number[];
  restarts: number;
  instances: { running: number; wanted: number };
  inFlight: number;
  lastError: string | null;
  lastExit: { text: string; exitCode: number | null; signal: string | null } | null;
  output: {
    garbageMessages: number;
    lateAnswers: number;
    unknownAnswers: number;
    droppedBytes: number;
    garbage: string | null;
  };
}

export interface PlatformHealth {
  platform: string;
  status: string;
  detail: string | null;
}

export class RunningConductor {
  private constructor(
    readonly folder: string,
    readonly process: Subprocess<"ignore", "ignore", "pipe">,
    readonly lines: string[],
  ) {}

  /** Starts it on a free port; resolves when /readyz answers 200. */
  static async start(options: StartOptions = {}): Promise<RunningConductor> {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), "conductor-e2e-"));
    const files = { ...options.files };
    if (options.config !== undefined) files["conductor.yaml"] = options.config;
    writeFiles(folder, files);
    const command = [options.executable ?? executable, "serve", ...(options.args ?? [])];
    const usual = {
      PATH: process.env.PATH ?? "",
      STATE_DIRECTORY: join(folder, "state"),
      CONDUCTOR_LOG_FORMAT: "json",
    };
    const child = Bun.spawn(options.wrap ? options.wrap(command) : command, {
      cwd: options.cwd ?? folder,
      env: { ...(options.bare ? {} : usual), CONDUCTOR_HTTP_PORT: "0", ...options.environment },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const running = new RunningConductor(folder, child, []);
    running.#collect();
    try {
      await running.#reach(options.until ?? "ready");
    } catch (error) {
      await running.kill();
      running.remove();
      throw new Error(`${error}\n${running.lines.slice(-20).join("\n")}`);
    }
    return running;
  }

  #url: string | undefined;

  async #reach(state: "ready" | "listening" | "spawned"): Promise<void> {
    if (state === "spawned") return;
    await until("the server listens", 20_000, () => {
      if (this.process.exitCode !== null) throw new Error(`it exited with ${this.process.exitCode}`);
      return this.#url;
    });
    if (state === "listening") return;
    await until("/readyz is 200", 20_000, async () => (await fetch(this.url("/readyz"))).status === 200);
  }

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

  get pid(): number {
    return this.process.pid;
  }

  /** The port it listens on, for the commands that ask it. */
  get port(): string {
    return new URL(this.#url ?? "http://none:0").port;
  }

  get token(): string {
    return readFileSync(join(this.folder, "state/token"), "utf8").trim();
  }

  /** What it logged under `event`. */
  logged(event: string): Record<string, unknown>[] {
    return this.lines
      .filter((line) => line.includes(`"event":"${event}"`))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
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

  /** A request to a platform: the status and the body. */
  async request(
    platform: string,
    payload: unknown,
    type = "message",
  ): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
    const response = await this.post("/api/v1/requests", { platform, type, payload });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    };
  }

  async plugins(): Promise<PluginInfo[]> {
    return (await this.get<{ plugins: PluginInfo[] }>("/api/v1/plugins")).plugins;
  }

  async plugin(name: string): Promise<PluginInfo> {
    return this.get<PluginInfo>(`/api/v1/plugins/${name}`);
  }

  async platforms(): Promise<PlatformHealth[]> {
    return (await this.get<{ platforms: PlatformHealth[] }>("/api/v1/health")).platforms;
  }

  /** State by name. */
  async states(): Promise<Record<string, string>> {
    return Object.fromEntries((await this.plugins()).map(({ name, state }) => [name, state]));
  }

  /** Writes a new configuration and has it read. */
  reload(config: string): void {
    writeFileSync(join(this.folder, "conductor.yaml"), config);
    this.process.kill("SIGHUP");
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
