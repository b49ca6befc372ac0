/** What discovery finds: plugins with where they come from, and what is wrong. */

import type { Manifest } from "./manifest.ts";

/** A plugin inside the executable. */
export interface BundledPlugin {
  name: string;
  /** Its plugin.yaml. */
  manifestText: string;
}

export type PluginSource =
  | { kind: "folder"; folder: string }
  | { kind: "bundled" }
  /** An npm package with a `conductor` field; `package` is its name, `folder` where its manifest's paths begin. */
  | { kind: "package"; folder: string; package: string }
  /** Handed over by the code around the manager. */
  | { kind: "registered"; folder: string | null }
  /** A process of conductor's own, supervised as a plugin is; see `PartTerms`. */
  | { kind: "part"; terms: PartTerms };

/**
 * What a part of conductor runs in a process of its own, such as a language model. It is limited, ranked for the kernel and
 * ended as plugins are, and is none: no list names it, no request is routed to it, no memory is reclaimed by shedding it.
 */
export interface PartTerms {
  /** The module inside the executable that it runs; null: its manifest names a program. */
  module: string | null;
  /** Variables that it is given beside the usual ones. */
  environment: Readonly<Record<string, string>>;
}

/** The plugin's files; null for one that has none of its own. */
export const folderOfSource = (source: PluginSource): string | null =>
  source.kind === "bundled" || source.kind === "part" ? null : source.folder;

/** Where a plugin comes from, for a person: its folder, or what stands for one. */
export function sourceText(source: PluginSource): string {
  if (source.kind === "bundled") return "bundled";
  if (source.kind === "part") return "part of conductor";
  if (source.kind === "registered") return source.folder ?? "registered";
  return source.folder;
}

/** One plugin that was found; `manifest` is null when it is invalid, and `errors` says why. */
export interface FoundPlugin {
  /** Unique in the discovery: the manifest's name, or what comes nearest to one. */
  name: string;
  source: PluginSource;
  manifest: Manifest | null;
  errors: readonly string[];
  /** Of the manifest's text, 64 hex digits; null when it could not be read. */
  manifestHash: string | null;
  /** Whether its manifest, its entry file or its errors are others than at this scanner's last scan, or new. */
  changed: boolean;
}

export type DiscoveryErrorCode = "folder-missing" | "folder-unreadable" | "duplicate-name" | "too-many";

/** A mistake that belongs to no one plugin. `message` is one line with the remedy. */
export interface DiscoveryError {
  code: DiscoveryErrorCode;
  message: string;
}

export interface Discovery {
  /** In the order of the folders, each by name with its packages after it; then registered, then bundled ones. */
  plugins: FoundPlugin[];
  errors: DiscoveryError[];
}
