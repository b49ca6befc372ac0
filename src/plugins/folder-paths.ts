/**
 * Which paths a manifest may name: an entry inside its folder; a program inside it, on PATH, or by absolute path;
 * folders inside it to write to.
 */

import { accessSync, constants, lstatSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, normalize, relative, resolve, sep } from "node:path";

const shown = (path: string): string => JSON.stringify(path.length > 80 ? `${path.slice(0, 77)}…` : path);

/** Whether `to` is outside `from`; both absolute. */
export const leaves = (from: string, to: string): boolean => {
  const way = relative(from, to);
  return way === ".." || way.startsWith(`..${sep}`) || isAbsolute(way);
};

/** The usual case at the least cost: a file right in the folder and no link. */
const isPlainFile = (path: string, folder: string): boolean =>
  !path.includes("/") && lstatSync(join(folder, path)).isFile();

/** Why `path`, relative to `folder`, is no file inside it; null when it is. Links are followed. */
function insideProblem(path: string, folder: string): string | null {
  if (path.includes("\0")) return `${shown(path)}: expected a path without NUL`;
  if (leaves(folder, resolve(folder, normalize(path))))
    return `${shown(path)}: leaves the plugin's folder; expected a path inside it`;
  try {
    if (isPlainFile(path, folder)) return null;
    const real = realpathSync(join(folder, path));
    if (leaves(realpathSync(folder), real))
      return `${shown(path)}: is a link out of the plugin's folder; copy the file into it`;
    return statSync(real).isFile() ? null : `${shown(path)}: expected a file`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    if (code === "ELOOP") return `${shown(path)}: is a link that leads back to itself`;
    return `${shown(path)}: ${code === "ENOENT" ? "no such file in the plugin's folder" : `cannot be read (${code})`}`;
  }
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

/** Why `program` is on no PATH, and a program on it; see `ProgramLookup`. */
export type ProgramLookup = (program: string) => string | null;

/**
 * Looks programs up in `searchPath` (as the variable PATH has it), each of them once: for one scan, since programs come
 * and go. Parts of it that are no absolute path depend on the folder a program starts in, and are not looked at.
 */
export function programLookup(searchPath: string): ProgramLookup {
  const dirs = searchPath.split(":").filter((dir) => isAbsolute(dir));
  const known = new Map<string, string | null>();
  return (program) => {
    let problem = known.get(program);
    if (problem === undefined) {
      problem = searchProblem(program, dirs);
      known.set(program, problem);
    }
    return problem;
  };
}

function searchProblem(program: string, dirs: readonly string[]): string | null {
  if (program.includes("\0")) return `${shown(program)}: expected a program without NUL`;
  let found: string | null = null;
  for (const dir of dirs) {
    const problem = executableProblem(join(dir, program), program);
    if (problem === null) return null;
    // One that is there and may not run says more than all those that are not.
    if (!problem.endsWith("no such program")) found ??= problem;
  }
  return (
    found ??
    `${shown(program)}: no such program on PATH (${dirs.join(":") || "empty"}); install it or write its whole path`
  );
}

/**
 * Why the first word of a command can not be started; null when it can. "./name" and "dir/name" are inside the folder,
 * of which there is none when that is null; "name" is looked up with `lookup`, and left to the start without one.
 */
export function commandProblem(
  program: string,
  folder: string | null,
  lookup: ProgramLookup | null = null,
): string | null {
  if (program.includes("\0")) return `${shown(program)}: expected a path without NUL`;
  if (isAbsolute(program)) return executableProblem(program, program);
  if (!program.includes("/")) return lookup === null ? null : lookup(program);
  if (folder === null) return `${shown(program)}: expected a name or an absolute path: it has no folder`;
  return insideProblem(program, folder) ?? executableProblem(join(folder, program), program);
}

/** Why the plugin may not be given `path` to write to; null when it may. It need not be there yet. */
export function writeProblem(path: string, folder: string, entry: string | null): string | null {
  if (path.includes("\0")) return `${shown(path)}: expected a path without NUL`;
  if (isAbsolute(path)) return `${shown(path)}: expected a folder inside the plugin's, not an absolute path`;
  const target = resolve(folder, normalize(path));
  if (leaves(folder, target))
    return `${shown(path)}: leaves the plugin's folder; expected a folder inside it`;
  if (target === resolve(folder))
    return `${shown(path)}: is the plugin's whole folder, its code too; expected a folder inside it, such as "data"`;
  if (entry !== null && !leaves(target, resolve(folder, entry)))
    return `${shown(path)}: holds the plugin's own code (${entry}); expected a folder of its own, such as "data"`;
  try {
    if (leaves(realpathSync(folder), realpathSync(target)))
      return `${shown(path)}: is a link out of the plugin's folder; expected a folder inside it`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    // Not there yet: it is made when it is first needed.
    return code === "ENOENT" ? null : `${shown(path)}: cannot be read (${code})`;
  }
  return null;
}
