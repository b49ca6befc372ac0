/** Which paths a manifest may name: an entry inside its folder; a program inside it, on PATH, or by absolute path. */

import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, normalize, relative, resolve, sep } from "node:path";

const shown = (path: string): string => JSON.stringify(path.length > 80 ? `${path.slice(0, 77)}…` : path);

const leaves = (from: string, to: string): boolean => {
  const way = relative(from, to);
  return way === ".." || way.startsWith(`..${sep}`) || isAbsolute(way);
};

/** Why `path`, relative to `folder`, is no file inside it; null when it is. Links are followed. */
function insideProblem(path: string, folder: string): string | null {
  if (path.includes("\0")) return `${shown(path)}: expected a path without NUL`;
  if (leaves(folder, resolve(folder, normalize(path))))
    return `${shown(path)}: leaves the plugin's folder; expected a path inside it`;
  let real: string;
  try {
    real = realpathSync(join(folder, path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    return `${shown(path)}: ${code === "ENOENT" ? "no such file in the plugin's folder" : `cannot be read (${code})`}`;
  }
  if (leaves(realpathSync(folder), real))
    return `${shown(path)}: is a link out of the plugin's folder; copy the file into it`;
  return statSync(real).isFile() ? null : `${shown(path)}: expected a file`;
}

/** Why `entry` can not be the plugin's module; null when it can. */
export function entryProblem(entry: string, folder: string): string | null {
  if (isAbsolute(entry))
    return `${shown(entry)}: expected a path inside the plugin's folder, not an absolute one`;
  return insideProblem(entry, folder);
}

function executableProblem(path: string, written: string): string | null {
  try {
    if (!statSync(path).isFile()) return `${shown(written)}: expected a program`;
    accessSync(path, constants.X_OK);
    return null;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return `${shown(written)}: no such program`;
    return `${shown(written)}: may not be executed (${code}); try chmod +x`;
  }
}

/**
 * Why the first word of a command can not be started; null when it can. "./name" and "dir/name" are inside the folder,
 * "name" is looked up on PATH at each start and so not here.
 */
export function commandProblem(program: string, folder: string): string | null {
  if (isAbsolute(program)) return executableProblem(program, program);
  if (!program.includes("/")) return null;
  return insideProblem(program, folder) ?? executableProblem(join(folder, program), program);
}
