/** Picks what this process is: a plugin's host, the guard, or a command of the command line. */

import { selfCommand } from "./plugins/self-command.ts";

const args = process.argv.slice(2);

/**
 * The optimising compiler costs a long-running conductor 10 to 20 MB that it never earns back: its hot path is WASM.
 * It can only be switched off before the runtime starts, so the process becomes itself once more, under the same pid.
 */
const compilerSwitch = "BUN_JSC_useDFGJIT";

function becomeLean(): void {
  if (process.env[compilerSwitch] !== undefined || process.execve === undefined) return;
  if (process.platform !== "linux") return;
  const [program = process.execPath, ...own] = selfCommand(process.execPath, Bun.main);
  process.execve(program, [program, ...own, ...args], { ...process.env, [compilerSwitch]: "0" });
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
  if (role === "__guard") {
    const { runGuard } = await import("./plugins/guard.ts");
    return runGuard(args.slice(1));
  }
  if (role === undefined || role === "serve" || role.startsWith("-")) becomeLean();
  const [{ runCli }, { commands }] = await Promise.all([import("./cli/cli.ts"), import("./cli/commands.ts")]);
  return runCli(args, commands, {
    terminal: {
      out: (line) => process.stdout.write(`${line}\n`),
      err: (line) => process.stderr.write(`${line}\n`),
      isTerminal: process.stderr.isTTY === true,
    },
    environment: process.env,
    folder: process.cwd(),
  });
}

const code = await run(args[0]);
await new Promise((written) => process.stdout.write("", written));
process.exit(code);
