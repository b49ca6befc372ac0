/** Which files are a plugin's content: what its author wrote and what that needs, not what it writes itself. */

import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { compareText } from "./compare-text.ts";

/** One file or link of the content. */
export interface ContentFile {
  /** From the plugin's folder, with slashes. */
  path: string;
  kind: "file" | "link";
  sizeBytes: number;
  executable: boolean;
  mtimeNs: bigint;
  ctimeNs: bigint;
}

/** Most files and bytes that are hashed or kept of one plugin. */
export const mostContentFiles = 5_000;
export const mostContentBytes = 64 * 2 ** 20;
/** Deepest folder below the plugin's own. */
const deepestFolder = 32;

/** Why a folder's content could not be listed or read; `message` names the folder and what to do. */
export interface ContentProblem {
  ok: false;
  code: "too-large" | "unreadable";
  message: string;
}

export interface ContentSelection {
  /** Folders left out, from the plugin's own: those of `permissions.write`. */
  exclude: readonly string[];
  nodeModules: boolean;
}

/** Inside `node_modules` names with a dot hold code too (`.pnpm`); these are what package managers keep beside it. */
const packageManagerFiles = new Set([
  ".bin",
  ".cache",
  ".package-lock.json",
  ".modules.yaml",
  ".yarn-integrity",
]);

function isLeftOut(name: string, inPackages: boolean, nodeModules: boolean): boolean {
  if (name === "__pycache__") return true;
  if (name === "node_modules") return !nodeModules;
  return inPackages ? packageManagerFiles.has(name) : name.startsWith(".");
}

/** "./data/" as "data". */
export const plainPath = (path: string): string =>
  path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");

export type ContentList = { ok: true; files: ContentFile[] } | ContentProblem;

/** Every file of the content in the order of their paths; sockets, pipes and devices are none. */
export function listContent(folder: string, selection: ContentSelection): ContentList {
  const listing = listInSteps(folder, selection);
  for (;;) {
    const step = listing.next();
    if (step.done) return step.value;
  }
}

/** The same, while requests are served in between: thousands of files in one go take tens of milliseconds. */
export async function listContentInTurns(folder: string, selection: ContentSelection): Promise<ContentList> {
  const listing = listInSteps(folder, selection);
  for (;;) {
    const step = listing.next();
    if (step.done) return step.value;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Files that are looked at in one step: less than a millisecond. */
const stepFiles = 64;

function* listInSteps(
  folder: string,
  { exclude, nodeModules }: ContentSelection,
): Generator<undefined, ContentList> {
  const excluded = new Set(exclude.map(plainPath));
  const files: ContentFile[] = [];
  let bytes = 0;
  function* walk(
    path: string,
    inPackages: boolean,
    depth: number,
  ): Generator<undefined, ContentProblem | null> {
    if (depth > deepestFolder) return tooLarge(folder, `folders deeper than ${deepestFolder} (${path})`);
    for (const entry of readdirSync(join(folder, path), { withFileTypes: true }) as Dirent[]) {
      const below = path === "" ? entry.name : `${path}/${entry.name}`;
      if (isLeftOut(entry.name, inPackages, nodeModules) || excluded.has(below)) continue;
      if (entry.isDirectory()) {
        const problem = yield* walk(below, inPackages || entry.name === "node_modules", depth + 1);
        if (problem) return problem;
      } else if (entry.isFile() || entry.isSymbolicLink()) {
        const stat = lstatSync(join(folder, below), { bigint: true });
        const sizeBytes = Number(stat.size);
        bytes += sizeBytes;
        const kind = entry.isFile() ? "file" : "link";
        const executable = kind === "file" && (stat.mode & 0o111n) !== 0n;
        files.push({
          path: below,
          kind,
          sizeBytes,
          executable,
          mtimeNs: stat.mtimeNs,
          ctimeNs: stat.ctimeNs,
        });
        if (files.length % stepFiles === 0) yield;
        if (files.length > mostContentFiles) return tooLarge(folder, `more than ${mostContentFiles} files`);
        if (bytes > mostContentBytes) return tooLarge(folder, `more than ${mostContentBytes} bytes`);
      }
    }
    return null;
  }
  try {
    const problem = yield* walk("", false, 0);
    if (problem) return problem;
  } catch (error) {
    return unreadable(folder, error);
  }
  files.sort((a, b) => compareText(a.path, b.path));
  return { ok: true, files };
}

const tooLarge = (folder: string, what: string): ContentProblem => ({
  ok: false,
  code: "too-large",
  message: `${folder}: ${what}; keep data in a folder of permissions.write, which is not counted`,
});

/** What the file system said, as a problem of the whole folder. */
export const unreadable = (folder: string, error: unknown): ContentProblem => ({
  ok: false,
  code: "unreadable",
  message: `${folder}: cannot be read: ${error instanceof Error ? error.message : String(error)}`,
});
