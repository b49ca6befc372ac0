/** One version of a plugin: what its manifest says, and where its files lie. */

import type { Manifest } from "./manifest.ts";

export interface PluginVersion {
  manifest: Manifest;
  /** Null for a plugin inside the executable. */
  folder: string | null;
  /** Of the folder's content, 64 hex digits; null until it has been read. */
  contentHash: string | null;
  /** What told the content apart when its first process was started; null before. See content-hash.ts. */
  fingerprint: string | null;
  /** The folder is a kept copy: the plugin's own has other content by now. */
  kept: boolean;
}

/** "1.2.0", and which content where that is known: "1.2.0 (3f2a91c0)". */
export function versionText({ manifest, contentHash }: PluginVersion): string {
  return contentHash === null ? manifest.version : `${manifest.version} (${contentHash.slice(0, 8)})`;
}

/** The plugins that it requires. */
export const requiredNames = ({ manifest }: PluginVersion): string[] =>
  manifest.requires.map(({ name }) => name);
