/** Picks what this process is: a plugin's host, the guard, or a command of the command line. */

import { selfCommand } from "./plugins/self-command.ts";

const args = process.argv.slice(2);

/**
 * Without its compilers the runtime of a conductor that serves stays at 31 MB instead of 44 to 62, and answers 4,000
 * requests a second instead of 5,000 (measured side by side): the right trade on a host that is short of memory. WASM
 * runs all the same. They can only be switched off before the runtime starts, so the process becomes itself once more,
 * under the same pid. Commands that compute for long keep them.
 */
const compilerSwitch = "BUN_JSC_useJIT";
/** What calls the C library has to be compiled, for some 3 MB; nothing else is. */
const withoutCompilers = { BUN_JSC_useBaselineJIT: "0", BUN_JSC_useBBQJIT: "0", BUN_JSC_useOMGJIT: "0" };
/**
 * A heap of a few MiB is collected sooner by one thread than by several that wait for each other: at 1,000 requests a second
 * on two processors the slowest of a hundred takes 5 to 6 ms instead of 7 to 15, in the same memory.
 */
const collectorThreads = "BUN_JSC_numberOfGCMarkers";

/**
 * `serve --throughput`: with the compilers, and a heap that is collected as if the host had 64 MiB. Measured side by side: 8,400
 * to 11,600 requests a second instead of 2,900 to 4,000, in 61 MiB instead of 43 when idle and 78 instead of 51 under that load;
 * with the compilers alone it grows to 250.
 */
const throughput = { BUN_JSC_forceRAMSize: String(64 * 2 ** 20) };

function becomeLean(): void {
  if (process.env[compilerSwitch] !== undefined || process.execve === undefined) return;
  if (process.platform !== "linux") return;
  const [program = process.execPath, ...own] = selfCommand(process.execPath, Bun.main);
  const switches = args.includes("--throughput") ? throughput : withoutCompilers;
  process.execve(program, [program, ...own, ...args], {
    [collectorThreads]: "1",
    ...process.env,
    [compilerSwitch]: "1",
    ...switches,
  });
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
await new Promise((written) => process.stdout.write("", written));
process.exit(code);
