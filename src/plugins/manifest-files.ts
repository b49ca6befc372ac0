/** The files behind a manifest, looked at in each scan: its paths, the syntax of its entry, the content it pins. */

import { join } from "node:path";
import { contentFingerprint, contentHash } from "./content-hash.ts";
import { EntrySyntax } from "./entry-syntax.ts";
import type { ProgramLookup } from "./folder-paths.ts";
import type { PluginSource } from "./found-plugin.ts";
import { describePathProblems, type Manifest } from "./manifest.ts";
import { type PathProblem, pathProblems } from "./manifest-paths.ts";
import { readManifestText } from "./manifest-text.ts";
import { largestPackageBytes } from "./package-plugins.ts";
import { ScanCache } from "./scan-cache.ts";

export interface ManifestFile {
  manifest: Manifest;
  source: PluginSource;
  /** Named in errors. */
  file: string;
  folder: string | null;
  hash: string | null;
  /** Where the manifest's keys are in the file; null: it is none. */
  keyPrefix: readonly string[] | null;
  lookup: ProgramLookup | null;
}

export interface FilesReport {
  errors: readonly string[];
  /** Another text once the entry was written. */
  state: string;
}

export class ManifestFiles {
  readonly #syntax = new EntrySyntax();
  readonly #described = new ScanCache<{ key: string; errors: string[] }>();
  readonly #pinned = new ScanCache<{ fingerprint: string; hash: string; linkOut: string | null }>();

  /** What is wrong with the plugin's files. */
  async check(of: ManifestFile): Promise<FilesReport> {
    const { manifest, source, folder, file } = of;
    if (source.kind === "bundled" || (source.kind === "part" && manifest.runtime === "bun"))
      return { errors: [], state: "" };
    const problems = pathProblems(manifest, of);
    if (manifest.runtime === "bun" && folder === null)
      problems.push({ key: "entry", problem: "expected a folder: a module without one cannot be found" });
    if (problems.length > 0) return { errors: await this.#describe(of, problems), state: "" };
    const syntax =
      manifest.runtime === "bun" && folder !== null
        ? this.#syntax.check(join(folder, manifest.entry), join(folder, manifest.entry))
        : { errors: [], state: "" };
    if (syntax.errors.length > 0 || folder === null || manifest.sha256 === undefined) return syntax;
    const problem = await this.#pinProblem(folder, manifest);
    return problem === null ? syntax : { errors: [`${file}: sha256: ${problem}`], state: syntax.state };
  }

  async #describe(
    { file, hash, keyPrefix }: ManifestFile,
    problems: readonly PathProblem[],
  ): Promise<string[]> {
    const key = JSON.stringify([hash, problems]);
    const known = this.#described.get(file);
    if (known?.key === key) {
      this.#described.set(file, known);
      return known.errors;
    }
    const read = keyPrefix === null ? { text: "" } : readManifestText(file, largestPackageBytes);
    const text = "text" in read ? read.text : "";
    const errors = await describePathProblems(problems, text, file, keyPrefix ?? []);
    this.#described.set(file, { key, errors });
    return errors;
  }

  /** The content is read again only when some file of it, of `node_modules` too, looks another one. */
  async #pinProblem(folder: string, { sha256, permissions }: Manifest): Promise<string | null> {
    const exclude = permissions.write;
    const now = contentFingerprint(folder, { exclude, nodeModules: true });
    if (!now.ok) return now.message;
    let known = this.#pinned.get(folder);
    if (known?.fingerprint !== now.fingerprint) {
      const hashed = await contentHash(folder, { exclude });
      if (!hashed.ok) return hashed.message;
      known = { fingerprint: now.fingerprint, hash: hashed.hash, linkOut: hashed.linkOut };
    }
    this.#pinned.set(folder, known);
    if (known.linkOut !== null)
      return `${known.linkOut} is a link out of the plugin's folder, which no pin covers; copy what it leads to`;
    if (known.hash === sha256) return null;
    return `the folder's content is ${known.hash}, the manifest pins ${sha256}; look at what changed, then correct the pin`;
  }

  endScan(): void {
    for (const cache of [this.#syntax, this.#described, this.#pinned]) cache.endScan();
  }
}
