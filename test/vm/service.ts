/** Conductor as a transient service of systemd inside the machine: started, asked, stopped, killed. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Enforced } from "../../src/plugins/enforcement.ts";

export const executable = "/duel/conductor";
const stateFolder = "/var/lib/conductor";
const port = 8420;

export interface ServedView {
  name: string;
  state: string;
  reason: string;
  pids: number[];
  restarts: number;
  lastExit: { text: string } | null;
  lastError: string | null;
  limits: { mechanism: string | null; enforced: Record<string, Enforced & { limit: number | null }> };
  permissions: Record<string, Enforced> | null;
  unenforced: string[];
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export async function run(...command: string[]): Promise<Ran> {
  const child = Bun.spawn(command, {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: guestEnvironment,
  });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, out, err };
}

/** Without what makes the executable under test a Bun. */
const guestEnvironment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };

/** Asks until `found` yields something; after `seconds` it throws what was waited for. */
export async function eventually<T>(
  what: string,
  seconds: number,
  found: () => Promise<T | null> | T | null,
): Promise<T> {
  for (const end = performance.now() + seconds * 1_000; ; await Bun.sleep(200)) {
    const value = await found();
    if (value !== null) return value;
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
  }
}

/** Every process that carries a plugin's environment, and a host or launcher among them. */
export function pluginProcesses(): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const environment = readFileSync(`/proc/${name}/environ`, "latin1");
      return environment.includes("CONDUCTOR_RUN=") ? [Number(name)] : [];
    } catch {
      return []; // It ended meanwhile.
    }
  });
}

export class Service {
  readonly unit: string;
  readonly user: string;
  readonly #properties: string[];
  readonly #base: string;

  /** `as` names it; `further` are properties of its unit. */
  constructor(
    readonly as: "root" | "nobody" | "undelegated" | "hardened",
    further: readonly string[] = [],
  ) {
    this.unit = `conductor-as-${as}`;
    this.#base = `/run/vm-${as}`;
    const delegate = as === "undelegated" ? "no" : "yes";
    this.user = as === "root" || as === "hardened" ? "root" : "nobody";
    // With KillMode=process systemd ends nothing but conductor: what goes with it, goes by conductor's own doing.
    const properties = [
      `Delegate=${delegate}`,
      "KillMode=process",
      "StateDirectory=conductor",
      `User=${this.user}`,
      ...further,
    ];
    this.#properties = properties.flatMap((property) => ["-p", property]);
  }

  get state(): string {
    return stateFolder;
  }

  get configuration(): string {
    return join(this.#base, "conductor.yaml");
  }

  pluginFolder(name: string): string {
    return join(this.#base, "plugins", name);
  }

  get cgroup(): string {
    return `/sys/fs/cgroup/system.slice/${this.unit}.service`;
  }

  /** Writes the configuration and the plugins' files, by plugin and name; all can be read by everyone, and is its user's. */
  prepare(plugins: Record<string, Record<string, string>>): void {
    for (const [name, files] of Object.entries(plugins)) {
      mkdirSync(this.pluginFolder(name), { recursive: true });
      for (const [file, text] of Object.entries(files))
        writeFileSync(join(this.pluginFolder(name), file), text);
    }
    const settings = [
      `http: { host: 127.0.0.1, port: ${port} }`,
      `plugins: { dirs: [${join(this.#base, "plugins")}], startTimeout: 1m }`,
      // Nothing is shed, and slow answers of slow processors are no failures.
      "scaler: { shed: 98%, emergency: 99%, dwell: 1h }",
      "health: { interval: 1m, timeout: 1m }",
      "breaker: { failures: 100 }",
    ];
    writeFileSync(this.configuration, `${settings.join("\n")}\n`);
    const { exitCode } = Bun.spawnSync(["chown", "-R", this.user, this.#base]);
    if (exitCode !== 0) throw new Error(`chown -R ${this.user} ${this.#base}: exit ${exitCode}`);
  }

  /** Runs one command of the executable as this service would be run, to its end. */
  command(...args: string[]): Promise<Ran> {
    const wrap = ["systemd-run", "--quiet", "--pipe", "--wait", ...this.#properties];
    return run(...wrap, executable, ...args);
  }

  /** Starts it and waits until no plugin is about to start. */
  async start(): Promise<ServedView[]> {
    const args = ["serve", "--config", this.configuration];
    const wrap = [
      "systemd-run",
      "--quiet",
      `--unit=${this.unit}`,
      "-p",
      "Type=exec",
      "-p",
      "RemainAfterExit=no",
    ];
    const { code, err } = await run(...wrap, ...this.#properties, executable, ...args);
    if (code !== 0) throw new Error(`systemd-run: exit ${code}: ${err}`);
    return eventually("every plugin is ready or was not started", 120, async () => {
      const views = await this.#get();
      const settled = views?.every(({ state }) => !["discovered", "starting"].includes(state));
      return views && views.length > 0 && settled ? views : null;
    });
  }

  async #get(): Promise<ServedView[] | null> {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/plugins`);
      return ((await response.json()) as { plugins: ServedView[] }).plugins;
    } catch {
      return null; // It does not listen yet.
    }
  }

  async view(name: string): Promise<ServedView> {
    const found = (await this.#get())?.find((each) => each.name === name);
    if (!found) throw new Error(`no plugin ${name}`);
    return found;
  }

  /** The answers of a plugin to its probes, in their order; throws when it gave none. */
  async probe(name: string, ...probes: (string | number)[][]): Promise<unknown[]> {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/requests`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ platform: name, payload: probes, deadlineMs: 60_000 }),
    });
    const body = (await response.json()) as { result?: unknown[] };
    if (!response.ok || !Array.isArray(body.result)) throw new Error(JSON.stringify(body).slice(0, 500));
    return body.result;
  }

  async mainPid(): Promise<number> {
    return Number((await run("systemctl", "show", this.unit, "-p", "MainPID", "--value")).out);
  }

  /** The cgroups of conductor's making that are left below the service's. */
  cgroupsLeft(): string[] {
    if (!existsSync(this.cgroup)) return [];
    return readdirSync(this.cgroup).filter((name) => name.startsWith("conductor-"));
  }

  async log(): Promise<string> {
    return (await run("journalctl", "-u", this.unit, "-o", "cat", "--no-pager")).out;
  }
}
