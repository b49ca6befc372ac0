/** `conductor plugins new`: the folder of a plugin that works at once, to be changed into the author's own. */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { pluginName } from "../../config/quantities.ts";
import { CliError, exitCode, type Invocation, textFlag, wantsJson } from "../command.ts";
import type { PluginsAction } from "./action.ts";
import { filesOfNew, type Language, languages } from "./example-files.ts";

export const newAction: PluginsAction = {
  name: "new",
  usage: "new NAME [--runtime bun|exec] [--language LANGUAGE] [--dir DIR]",
  takes: ["a name for the plugin"],
  flags: ["runtime", "language", "dir"],
  run: async (invocation, [name = ""]) => {
    const json = wantsJson(invocation);
    const checked = pluginName.safeParse(name);
    if (!checked.success)
      throw new CliError(
        `${name}: ${checked.error.issues[0]?.message ?? "no name for a plugin"}`,
        exitCode.usage,
      );
    const language = languageOf(invocation);
    const { folder, terminal } = invocation;
    const parent = resolve(folder, textFlag(invocation, "dir") ?? defaultDir(folder));
    const target = join(parent, name);
    const files = await filesOfNew(name, language);
    write(target, files);
    const paths = Object.keys(files);
    if (json) terminal.out(JSON.stringify({ folder: target, language, files: paths }, null, 2));
    else {
      const isFoundByItself = parent === join(folder, "plugins");
      terminal.out(nextSteps(name, shownPath(folder, target), paths, isFoundByItself ? null : parent));
    }
    return exitCode.ok;
  },
};

/** Where `conductor serve` looks for plugins when nothing is configured. */
const defaultDir = (folder: string): string => (existsSync(join(folder, "plugins")) ? "plugins" : ".");

function languageOf(invocation: Invocation): Language {
  const runtime = textFlag(invocation, "runtime");
  const asked = textFlag(invocation, "language");
  const names = Object.keys(languages) as Language[];
  if (runtime !== undefined && runtime !== "bun" && runtime !== "exec")
    throw new CliError(`--runtime ${runtime}: expected bun or exec`, exitCode.usage);
  if (asked === undefined) return runtime === "exec" ? "python" : "typescript";
  const language = names.find((name) => name === asked);
  if (!language)
    throw new CliError(`--language ${asked}: expected one of ${names.join(", ")}`, exitCode.usage);
  const needed = languages[language].runtime;
  if (runtime !== undefined && runtime !== needed)
    throw new CliError(`--language ${asked}: expected --runtime ${needed}, not ${runtime}`, exitCode.usage);
  return language;
}

const isScript = (text: string): boolean => text.startsWith("#!");

function write(target: string, files: Readonly<Record<string, string>>): void {
  // A parent that is a file is told apart from a plugin that is there: for both the system says EEXIST.
  if (tried(() => mkdirSync(dirname(target), { recursive: true })) === "EEXIST")
    throw new CliError(`${dirname(target)}: is no folder; choose another one with --dir`);
  const problem = tried(() => {
    mkdirSync(target);
    for (const [path, text] of Object.entries(files))
      writeFileSync(join(target, path), text, { flag: "wx", mode: isScript(text) ? 0o755 : 0o644 });
  });
  if (problem === null) return;
  throw new CliError(
    problem === "EEXIST"
      ? `${target}: there already, and nothing is overwritten; choose another name or --dir`
      : `${target}: cannot be written (${problem}); choose a folder that this user may write to`,
  );
}

/** The system's code for why `run` failed; null when it did not. */
function tried(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function shownPath(from: string, target: string): string {
  const way = relative(from, target);
  return way.startsWith("..") ? target : `./${way}`;
}

/** `unknownDir`: the folder that it was made in, where the conductor has to be told of it. */
function nextSteps(name: string, path: string, files: readonly string[], unknownDir: string | null): string {
  const told = unknownDir === null ? "" : `, with plugins: { dirs: [${unknownDir}] } in conductor.yaml`;
  const steps = [
    [`conductor plugins test ${path}`, "checks that it keeps to the contract"],
    ["conductor serve", `runs it${told}`],
    [`conductor plugins logs ${name} -f`, "shows what it writes"],
  ];
  const width = Math.max(...steps.map(([command = ""]) => command.length));
  return [
    `wrote ${path}: ${files.join(", ")}`,
    "",
    "next:",
    ...steps.map(([command = "", what]) => `  ${command.padEnd(width)}  ${what}`),
  ].join("\n");
}
