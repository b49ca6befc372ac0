/** node-llama-cpp for the tests: installed once, by the command that the plugin prints, into a cache outside of the project. */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { installCommand, libraryVersion } from "../../plugins/llama/library.ts";

/** Longer than any download of 30 MB should take. */
const installMs = 240_000;

/** The plugin may run as a user of its own: it has to get through to the folder. */
const cacheFolder = (): string => {
  const isRoot = process.getuid?.() === 0;
  return join(
    process.env.XDG_CACHE_HOME ?? (isRoot ? "/var/cache" : join(homedir(), ".cache")),
    "conductor-tests",
  );
};

/** The folder it is installed in; else why it cannot be. */
export function nodeLlamaCpp(): { folder: string } | { reason: string } {
  const folder = join(cacheFolder(), `node-llama-cpp-${libraryVersion}`);
  if (existsSync(folder)) return { folder };
  const made = mkdtempSync(join(tmpdir(), "conductor-install-"));
  try {
    writeFileSync(join(made, "package.json"), "{}");
    const command = installCommand(made, process.execPath).replace(/^bun /, `"${process.execPath}" `);
    const done = Bun.spawnSync(["sh", "-c", command], {
      timeout: installMs,
      stdout: "ignore",
      stderr: "pipe",
    });
    if (!done.success)
      return { reason: `${command}: exit ${done.exitCode}: ${done.stderr.toString().trim().slice(-300)}` };
    chmodSync(made, 0o755);
    mkdirSync(cacheFolder(), { recursive: true });
    // Two that install at once: one of them is kept.
    if (!existsSync(folder)) Bun.spawnSync(["mv", made, folder]);
    return existsSync(folder) ? { folder } : { reason: `${folder} cannot be made` };
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
