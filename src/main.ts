/** Picks what this process is: a plugin's host, the guard, or a command of the command line. */

import { selfCommand } from "./plugins/self-command.ts";

const args = process.argv.slice(2);

/**
 * Without its compilers the runtime of a conductor that serves holds some 10 MB less, and answers 4,000 requests a second
 * instead of 8,000 and more (measured side by side): the right trade on a host that is short of memory. WASM runs all the
 * same. Only what calls the C library is compiled, for some 3 MB. All this can only be chosen before the runtime starts, so
 * the process becomes itself once more, under the same pid. Commands that compute for long keep the compilers, and so does
 * `serve --throughput`.
 */
const chosen = "BUN_JSC_useJIT";
const withoutCompilers = { BUN_JSC_useBaselineJIT: "0", BUN_JSC_useBBQJIT: "0", BUN_JSC_useOMGJIT: "0" };

/**
 * A heap of a few MiB is collected sooner by one thread than by several that wait for each other: at 1,000 requests a second
 * on two processors the slowest of a hundred takes 5 to 6 ms instead of 7 to 15, in the same memory. That thread is the one
 * that runs the program: beside a collector of its own the program waits for it by yielding, and among busy processes that
 * took 9 s. And it is collected as if the host had 64 MiB: a flood of 200 MB leaves it at 65 to 70 MiB instead of 87 to 136,
 * and with the compilers, under as many requests as get through, at 78 instead of 250.
 */
const smallHeap = {
  BUN_JSC_numberOfGCMarkers: "1",
  BUN_JSC_useConcurrentGC: "0",
  BUN_JSC_forceRAMSize: String(64 * 2 ** 20),
};

function becomeLean(): void {
  if (process.env[chosen] !== undefined || process.execve === undefined) return;
  if (process.platform !== "linux") return;
  const [program = process.execPath, ...own] = selfCommand(process.execPath, Bun.main);
  const compilers = args.includes("--throughput") ? {} : withoutCompilers;
  const environment = { ...smallHeap, ...process.env, [chosen]: "1", ...compilers };
  process.execve(program, [program, ...own, ...args], environment);
}

/** The part that this executable plays for another one of itself, or a person's command. Yields the exit code. */
async function run(role: string | undefined): Promise<number> {
  if (role === "__host") {
    const [{ runHost }, { loadBundled }] = await Promise.all([
      import("./plugins/host.ts"),
      import("./plugins/bundled.ts"),
    ]);
    return runHost(args.slice(1), { loadBundled });
  }
  if (role === "__launch") {
    const { runLauncher } = await import("./plugins/launch/launcher.ts");
    return runLauncher(args.slice(1));
  }
  if (role === "__guard") {
    const { runGuard } = await import("./plugins/guard.ts");
    return runGuard(args.slice(1));
  }
  if (role === "__replay-record") {
    const { runReplay } = await import("./conductor/replay-role.ts");
    return runReplay();
  }
  if (role === "__hog") {
    const { runHog } = await import("./cli/drill/hog.ts");
    return runHog(args.slice(1));
  }
  if (role === "__drill-serve") {
    const { enterAndServe } = await import("./cli/drill/enter.ts");
    return enterAndServe(args.slice(1), process.env);
  }
  if (role === "__drill-cleaner") {
    const { runDrillCleaner } = await import("./cli/drill/cleaner.ts");
    return runDrillCleaner(args.slice(1));
  }
  if (role === undefined || role === "serve" || role.startsWith("-")) becomeLean();
  const [{ runCli }, { commands }] = await Promise.all([import("./cli/cli.ts"), import("./cli/commands.ts")]);
  return runCli(args, commands, {
    terminal: {
      out: (line) => process.stdout.write(`${line}\n`),
      err: (line) => process.stderr.write(`${line}\n`),
      redraw: (text) => process.stderr.write(`\r\x1b[2K${text}`),
      isTerminal: process.stderr.isTTY === true,
    },
    environment: process.env,
    folder: process.cwd(),
  });
}

const code = await run(args[0]);
// What a pipe has no room for yet is still to be written.
await new Promise<void>((written) => void process.stdout.end(() => written()));
process.exit(code);
