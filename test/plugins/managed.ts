/**
 * A plugin manager in an executable and a folder of its own, run as root or as an ordinary user: what its plugins may do
 * is the kernel's word then, not the test's.
 */

import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { PermissionsEnforced } from "../../src/plugins/enforcement.ts";
import type { Withheld } from "../../src/plugins/launch/spec.ts";
import { eventually, fixtures, processesOf } from "./harness.ts";

/** An ordinary user that owns nothing; the tests run as root, or all as whoever runs them. */
export const nobody = 65_534;
export const isRoot = process.getuid?.() === 0;

/** Compiles the small conductor into a world-readable folder. */
export async function compileManager(): Promise<{ executable: string; remove(): void }> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "conductor-manager-")));
  chmodSync(folder, 0o755);
  const outfile = join(folder, "small-conductor");
  const options = {
    entrypoints: [join(fixtures, "main.ts")],
    target: "bun",
    format: "esm",
    minify: true,
    bytecode: true,
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false, autoloadPackageJson: true },
  };
  const result = await Bun.build(options as Bun.BuildConfig);
  if (!result.success) throw new AggregateError(result.logs);
  chmodSync(outfile, 0o755);
  return { executable: outfile, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** `kind: exec` and `kind: bun` plugins that run the probes they are asked to. */
export const proberPlugin = (name: string, runtime: "exec" | "bun", more = ""): Record<string, string> => ({
  "plugin.yaml": `name: ${name}\nversion: 1.0.0\nruntime: ${runtime}\n${
    runtime === "exec" ? 'command: ["python3", "prober.py"]' : "entry: index.ts"
  }\n${more}`,
  "prober.py": readFileSync(join(fixtures, "prober.py"), "utf8"),
  "index.ts": `import { definePlugin } from "conductor/plugin";
    export default definePlugin({ handleRequest: async ({ payload }) => {
      const child = Bun.spawn(["python3", import.meta.dir + "/prober.py", JSON.stringify(payload)], { stdout: "pipe" });
      return JSON.parse(await new Response(child.stdout).text());
    } });`,
});

export interface ManagedView {
  name: string;
  state: string;
  reason: string;
  pids: number[];
  permissions: PermissionsEnforced | null;
  unenforced: string[];
}

type Probe = readonly (string | number)[];

export interface Managed {
  pid: number;
  /** Folders and files: base/state with token and conductor.db, base/conductor.yaml, base/plugins. */
  base: string;
  runId: string;
  view(name: string): ManagedView;
  /** The answers of a plugin to its probes, in their order. */
  probe(name: string, probes: readonly Probe[]): Promise<unknown[]>;
  health(name: string): Promise<unknown>;
  restart(name: string): Promise<void>;
  /** Kills it with SIGKILL, as the kernel would. */
  kill(): Promise<void>;
  end(): Promise<void>;
}

export interface ManagedOptions {
  executable: string;
  as: "root" | "user";
  plugins: Record<string, Record<string, string>>;
  withhold?: Withheld[];
  /** Nobody but its owner can enter the folder that everything lies in. */
  closed?: boolean;
}

let runs = 0;

/** The folder that `start` works in. */
function prepare({ plugins, as, closed }: ManagedOptions): string {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "conductor-managed-")));
  chmodSync(base, 0o755);
  const put = (path: string, text: string, mode: number) => {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), text);
    chmodSync(join(base, path), mode);
  };
  put("state/token", "secret", 0o600);
  put("state/conductor.db", "secret", 0o600);
  put("conductor.yaml", "secret", 0o644);
  for (const [name, files] of Object.entries(plugins))
    for (const [file, text] of Object.entries(files)) put(`plugins/${name}/${file}`, text, 0o644);
  mkdirSync(join(base, "state/plugins"), { mode: 0o711 });
  chmodSync(join(base, "state"), 0o711);
  cpSync("/usr/bin/id", join(base, "setuid-id"));
  if (isRoot) chmodSync(join(base, "setuid-id"), 0o4755);
  const owned = ["state", "state/plugins", "state/token", "state/conductor.db", "plugins"];
  const folders = [...owned, ...Object.keys(plugins).map((name) => `plugins/${name}`)];
  if (as === "user" && isRoot) for (const path of folders) chownSync(join(base, path), nobody, nobody);
  if (closed) chmodSync(base, 0o700);
  return base;
}

/** Starts it and waits until every plugin is ready or has failed. */
export async function startManaged(options: ManagedOptions): Promise<Managed> {
  const base = prepare(options);
  const runId = `managed-${process.pid}-${runs++}`;
  const settings = {
    dirs: [join(base, "plugins")],
    runId,
    cgroups: false,
    stateFolder: join(base, "state"),
    hidden: [join(base, "state"), join(base, "conductor.yaml")],
    withhold: options.withhold ?? [],
  };
  const child = Bun.spawn([options.executable, "manage", JSON.stringify(settings)], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", HOME: base, CONDUCTOR_SECRET: "hunter2" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    ...(options.as === "user" && isRoot ? { uid: nobody, gid: nobody } : {}),
  });
  const lines = linesOf(child.stdout);
  const next = async () => JSON.parse((await lines.next()).value ?? "null");
  const ask = async (line: string) => {
    child.stdin.write(`${line}\n`);
    child.stdin.flush();
    return next();
  };
  const { ready } = (await next()) as { ready: ManagedView[] };
  const ended = async () => {
    await child.exited;
    await eventually(() => processesOf(runId).length === 0);
    rmSync(base, { recursive: true, force: true });
  };
  return {
    pid: child.pid,
    base,
    runId,
    view: (name) => {
      const found = ready.find((each) => each.name === name);
      if (!found) throw new Error(`no plugin ${name}`);
      return found;
    },
    probe: async (name, probes) => {
      const { answer } = await ask(`${name} probe ${JSON.stringify(probes)}`);
      if (!answer?.ok) throw new Error(`${name}: ${JSON.stringify(answer)}`);
      return answer.value;
    },
    health: async (name) => (await ask(`${name} health`)).health,
    restart: async (name) => {
      const { restarted } = await ask(`${name} restart`);
      if (!restarted.ok) throw new Error(restarted.message);
    },
    kill: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
    end: async () => {
      if (child.exitCode === null && child.signalCode === null) child.stdin.write("stop\n");
      await ended();
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(
    new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
  )) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
