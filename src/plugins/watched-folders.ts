/**
 * Watches folders and what is below them, folder by folder: a recursive watch of the runtime would watch the thousands
 * of folders in `node_modules` too, and fail as a whole once the kernel's watches are used up.
 */

import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Most folders watched; the kernel's own limit for one user is often 8,192. */
const mostFolders = 20_000;

/** Deepest folder below a root. */
const deepest = 8;

export type WatchFolder = (folder: string, changed: (name: string | null) => void) => FSWatcher;

/** Throws ENOSPC or EMFILE where there are no watches left, ENOENT where there is no folder. */
export const watchFolder: WatchFolder = (folder, changed) =>
  watch(folder, { persistent: false }, (_, name) => changed(name));

export interface WatchedFoldersOptions {
  /** Absolute. They need not be there. */
  roots: readonly string[];
  watch: WatchFolder;
  /** Something changed at `path`. */
  changed(path: string): void;
  /** Why not everything can be watched; told again as long as that is so. */
  failed(reason: string): void;
  /** Paths below the roots that are of no interest, neither to watch nor to tell of. */
  ignored(path: string): boolean;
}

interface Node {
  path: string;
  /** Levels below its root; -1 above one that is not there. */
  depth: number;
  watcher: FSWatcher | null;
  /** Device, inode and time of making: a folder made anew under the old name is another one. */
  identity: string;
  /** Something in it was added or removed, or itself moved, since it was last looked at. */
  dirty: boolean;
  children: Map<string, Node>;
}

/** Names below a plugins' folder that no rescan is needed for. */
export const isNoise = (name: string): boolean =>
  name.startsWith(".") || name === "__pycache__" || name.endsWith("~") || /\.(swp|swx|tmp)$/.test(name);

/** How deep `node_modules` is watched: the packages' own folders, in which package.json lies. */
const packageDepth = 2;

export class WatchedFolders {
  readonly #options: WatchedFoldersOptions;
  readonly #roots = new Map<string, Node>();
  /** For each root that is not there, the watch above it. */
  readonly #above = new Map<string, FSWatcher>();
  #count = 0;

  constructor(options: WatchedFoldersOptions) {
    this.#options = options;
  }

  /** Folders watched now. */
  get count(): number {
    return this.#count;
  }

  /**
   * Watches what came and leaves what went. To be called before the folders are read: what comes later is told.
   * `everything`: looks into each folder, also where nothing was told.
   */
  refresh(everything = false): void {
    for (const root of this.#options.roots) {
      const node = this.#roots.get(root) ?? this.#node(root, 0);
      this.#roots.set(root, node);
      this.#refresh(node, everything, false);
      // One that is there and only cannot be watched is left to the scans by the clock.
      this.#watchAbove(root, node.watcher === null && !isFolder(root));
    }
  }

  close(): void {
    for (const node of this.#roots.values()) this.#leave(node);
    for (const watcher of this.#above.values()) watcher.close();
    this.#roots.clear();
    this.#above.clear();
  }

  #node(path: string, depth: number): Node {
    return { path, depth, watcher: null, identity: "", dirty: true, children: new Map() };
  }

  #refresh(node: Node, everything: boolean, inPackages: boolean): void {
    if (!node.dirty && !everything && node.watcher) {
      for (const child of node.children.values())
        this.#refresh(child, everything, inPackages || isPackages(child));
      return;
    }
    const identity = identityOf(node.path);
    if (identity !== node.identity || node.watcher === null) {
      this.#leave(node);
      if (identity === null) return;
      this.#watch(node, identity);
    }
    // Before it is listed: what is added from here on is told and makes it dirty again.
    node.dirty = false;
    const names = new Set(this.#foldersIn(node, inPackages));
    for (const [name, child] of node.children)
      if (!names.has(name)) {
        this.#leave(child);
        node.children.delete(name);
      }
    for (const name of names) {
      const child = node.children.get(name) ?? this.#node(join(node.path, name), node.depth + 1);
      node.children.set(name, child);
      this.#refresh(child, everything, inPackages || isPackages(child));
    }
  }

  #watch(node: Node, identity: string): void {
    if (this.#count >= mostFolders) {
      this.#options.failed(`more than ${mostFolders} folders`);
      return;
    }
    try {
      const watcher = this.#options.watch(node.path, (name) => this.#changed(node, name));
      watcher.on("error", (error) => {
        node.dirty = true;
        this.#options.failed(reasonOf(error));
      });
      node.watcher = watcher;
      node.identity = identity;
      this.#count++;
    } catch (error) {
      // Gone since it was listed: its parent tells.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#options.failed(reasonOf(error));
    }
  }

  #changed(node: Node, name: string | null): void {
    const path = name === null ? node.path : join(node.path, name);
    if (name !== null && (isNoise(name) || this.#options.ignored(path))) return;
    node.dirty = true;
    // By its own name a folder tells that it was moved or removed itself.
    if (name === null || name === basename(node.path)) node.identity = "";
    const child = name === null ? undefined : node.children.get(name);
    if (child) child.dirty = true;
    this.#options.changed(path);
  }

  #foldersIn(node: Node, inPackages: boolean): string[] {
    const { path, depth } = node;
    if (depth >= deepest || (inPackages && depthInPackages(path) >= packageDepth)) return [];
    try {
      return readdirSync(path, { withFileTypes: true })
        .filter((entry) => {
          if (isNoise(entry.name) || this.#options.ignored(join(path, entry.name))) return false;
          if (entry.name === "node_modules" && depth > 0) return false;
          // Only the plugins' own folders may be links: further in one could lead anywhere, and back.
          return (
            entry.isDirectory() || (depth === 0 && entry.isSymbolicLink() && isFolder(join(path, entry.name)))
          );
        })
        .map(({ name }) => name);
    } catch {
      return []; // Gone, or not to be read by this user: a scan says so.
    }
  }

  #leave(node: Node): void {
    for (const child of node.children.values()) this.#leave(child);
    node.children.clear();
    if (node.watcher) {
      node.watcher.close();
      node.watcher = null;
      this.#count--;
    }
    node.identity = "";
    node.dirty = true;
  }

  /** For a root that is not there: watches the nearest folder above it that is, until it comes. */
  #watchAbove(root: string, missing: boolean): void {
    this.#above.get(root)?.close();
    this.#above.delete(root);
    if (!missing) return;
    let next = basename(root);
    for (let folder = dirname(root); ; folder = dirname(folder)) {
      if (isFolder(folder)) {
        const awaited = next;
        try {
          const watcher = this.#options.watch(folder, (name) => {
            if (name === null || name === awaited || name === basename(folder)) this.#options.changed(root);
          });
          watcher.on("error", (error) => this.#options.failed(reasonOf(error)));
          this.#above.set(root, watcher);
        } catch (error) {
          this.#options.failed(reasonOf(error));
        }
        // It may have come between the look and the watch.
        if (isFolder(join(folder, awaited))) this.#options.changed(root);
        return;
      }
      if (folder === dirname(folder)) return;
      next = basename(folder);
    }
  }
}

const isPackages = (node: Node): boolean => node.depth === 1 && basename(node.path) === "node_modules";

/** Levels below `node_modules`; a scope counts for none. */
function depthInPackages(path: string): number {
  const below = path.slice(path.lastIndexOf("/node_modules") + "/node_modules".length);
  const parts = below.split("/").filter((part) => part !== "");
  return 1 + parts.length - (parts[0]?.startsWith("@") ? 1 : 0);
}

function identityOf(path: string): string | null {
  try {
    const { dev, ino, birthtimeMs } = statSync(path);
    return `${dev} ${ino} ${birthtimeMs}`;
  } catch {
    return null; // Not there, or out of reach: both mean that it cannot be watched.
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // A link to nothing is no folder.
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC") return "no watches left; raise fs.inotify.max_user_watches";
  if (code === "EMFILE") return "no watchers left; raise fs.inotify.max_user_instances";
  return message;
}
