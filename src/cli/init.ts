import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { exampleConfig } from "../config/example.ts";
import { bundledFiles } from "../plugins/bundled.ts";
import { CliError, type Command, exitCode } from "./command.ts";

/** `conductor init`: a commented configuration and the bundled plugins as files, to change and to learn from. */
export const initCommand: Command = {
  name: "init",
  summary: "Write a commented conductor.yaml and unpack the bundled plugins",
  usage: "conductor init [FOLDER] [--force]",
  options: { force: { type: "boolean", short: "f", help: "Overwrite files that are there" } },
  positionals: 1,
  run: async ({ positionals, flags, terminal, folder }) => {
    const target = resolve(folder, positionals[0] ?? ".");
    const files: Record<string, string> = { "conductor.yaml": exampleConfig() };
    for (const [path, text] of Object.entries(await bundledFiles())) files[join("plugins", path)] = text;
    const there = Object.keys(files).filter((path) => existsSync(join(target, path)));
    if (there.length > 0 && !flags.force)
      throw new CliError(`${there.join(", ")}: there already; use --force to overwrite, or another folder`);
    for (const [path, text] of Object.entries(files)) write(join(target, path), text);
    terminal.out(`wrote ${Object.keys(files).length} files to ${target}`);
    terminal.out('next: look through conductor.yaml, then "conductor check" and "conductor serve"');
    return exitCode.ok;
  },
};

function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new CliError(`${path}: cannot be written (${code}); choose a folder that this user may write to`);
  }
}
