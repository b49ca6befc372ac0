/**
 * Which content of a plugin's folder runs: seen to change, kept once it proved itself, gone back to by order.
 *
 *   first process of a version ──▶ fingerprint taken ──ready──▶ content hashed, copy kept
 *   folder's fingerprint is another one ──▶ changed, unless that content was set aside
 *   set aside: it failed to take over, or a rollback decided so (and then a pin holds it after a restart too)
 */

import { join } from "node:path";
import type { Log } from "../log.ts";
import { contentFingerprint, contentHash } from "./content-hash.ts";
import { largestManifestBytes, parseManifest } from "./manifest.ts";
import { readBounded } from "./manifest-text.ts";
import type { PluginVersion } from "./plugin-version.ts";
import type { Supervisor } from "./supervisor.ts";
import type { KeptVersion, VersionStore } from "./version-store.ts";

export type Found = { ok: true; version: PluginVersion } | { ok: false; problem: string };

export class Versions {
  readonly #log: Log;
  readonly #nowMs: () => number;
  #store: VersionStore | null = null;
  /** By plugin: the fingerprint of content in its folder that is not to be run. */
  readonly #setAside = new Map<string, string>();
  /** Contents are read and copied one after the other. */
  #keeping: Promise<void> = Promise.resolve();

  constructor(log: Log, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Where versions are kept from now on; null: nowhere. */
  open(store: VersionStore | null): void {
    this.#store = store;
    const damage = store?.damage ?? null;
    if (damage !== null) this.#log.error("plugins.pins_damaged", { reason: damage });
  }

  /** To be called right before a process of `version` is started. */
  starting(version: PluginVersion): void {
    if (version.folder !== null) version.fingerprint ??= fingerprintOf(version, version.folder);
  }

  /** Whether `own`, the plugin's folder, holds something else than what runs, and what may run. */
  changed({ name, version }: Supervisor, own: string): boolean {
    if (version.fingerprint === null) return false; // Nothing of it was started yet.
    const now = fingerprintOf(version, own);
    return now !== null && now !== this.#setAside.get(name) && (version.kept || now !== version.fingerprint);
  }

  /** Whether `own` still holds what is not to be run. */
  isSetAside({ name, version }: Supervisor, own: string): boolean {
    const aside = this.#setAside.get(name);
    return aside !== undefined && fingerprintOf(version, own) === aside;
  }

  /** What `own` holds now is not run until it is another one. */
  setAside({ name, version }: Supervisor, own: string): void {
    const now = fingerprintOf(version, own);
    if (now !== null) this.#setAside.set(name, now);
  }

  /** What lies in its folder may run again. */
  admit(name: string): void {
    this.#setAside.delete(name);
    const unpinned = this.#store?.pinned(name) ? this.#store.unpin(name) : null;
    if (unpinned?.ok === false)
      this.#log.error("plugins.unpin_failed", { plugin: name, reason: unpinned.problem });
  }

  /** It runs and is well: keeps a copy of its content, in a while and without holding up anything. */
  proven(supervisor: Supervisor): void {
    const { version } = supervisor;
    if (version.folder === null || version.contentHash !== null) return;
    this.#keeping = this.#keeping.then(() => this.#keep(supervisor, version));
  }

  async #keep({ name, version: current }: Supervisor, version: PluginVersion): Promise<void> {
    const { folder, fingerprint, manifest } = version;
    if (folder === null || current !== version) return;
    const exclude = manifest.permissions.write;
    const content = await contentHash(folder, { exclude });
    if (!content.ok) {
      this.#log.warn("plugins.not_kept", { plugin: name, reason: content.message });
      return;
    }
    // Changed since it was started: that content is not what has proved itself.
    if (fingerprintOf(version, folder) !== fingerprint) return;
    version.contentHash = content.hash;
    if (!this.#store) return;
    const inUse = new Set([content.hash]);
    const kept = await this.#store.keep(name, folder, content.hash, { exclude, inUse, nowMs: this.#nowMs() });
    if (!kept.ok) this.#log.warn("plugins.not_kept", { plugin: name, reason: kept.problem });
  }

  /** Resolves when what has proved itself so far is kept. */
  async settled(): Promise<void> {
    await this.#keeping;
  }

  /** The version that runs, from its kept copy: its own folder has other content by now. Null: there is none. */
  async ownCopy({ name, version }: Supervisor): Promise<PluginVersion | null> {
    if (version.kept || version.contentHash === null || !this.#store) return null;
    const copy = await this.#store.folderOf(name, version.contentHash, version.manifest.permissions.write);
    return copy.ok ? { ...version, folder: copy.folder, kept: true } : null;
  }

  /** The version that proved itself before the one that runs. */
  async before({ name, version }: Supervisor): Promise<Found> {
    await this.settled();
    if (!this.#store) return { ok: false, problem: "no version is kept: the state is in memory only" };
    if (version.folder === null)
      return { ok: false, problem: "it is part of the executable; run an older executable to go back" };
    const others = this.#store.list(name).filter(({ hash }) => hash !== version.contentHash);
    const problems: string[] = [];
    for (const each of others) {
      const found = await this.#read(name, each, version.manifest.permissions.write);
      if (found.ok) return found;
      problems.push(found.problem);
    }
    const none = "no other version of it has run well here";
    return { ok: false, problem: problems.length > 0 ? problems.join("; ") : none };
  }

  async #read(name: string, { hash }: KeptVersion, exclude: readonly string[]): Promise<Found> {
    const copy = (await this.#store?.folderOf(name, hash, exclude)) ?? {
      ok: false,
      problem: "nothing is kept",
    };
    if (!copy.ok) return copy;
    const file = join(copy.folder, "plugin.yaml");
    const read = readBounded(file, largestManifestBytes);
    if ("problem" in read) return { ok: false, problem: read.problem };
    const parsed = await parseManifest(new TextDecoder().decode(read.bytes), file, copy.folder);
    if (!parsed.ok) return { ok: false, problem: parsed.errors.join("; ") };
    const { manifest } = parsed;
    if (manifest.name !== name) return { ok: false, problem: `${file}: is called ${manifest.name} by now` };
    return {
      ok: true,
      version: { manifest, folder: copy.folder, contentHash: hash, fingerprint: null, kept: true },
    };
  }

  /** Holds `version` in place of what `own` contains now, after a restart too; yields what kept it from that. */
  async pin({ name, version }: Supervisor, own: string): Promise<string | null> {
    const content = await contentHash(own, { exclude: version.manifest.permissions.write });
    if (!content.ok) return content.message;
    if (version.contentHash === null || !this.#store) return "nothing is kept";
    const pinned = this.#store.pin(name, { use: version.contentHash, insteadOf: content.hash });
    return pinned.ok ? null : pinned.problem;
  }

  /** The version that an earlier rollback put in place of what `own` still contains; null: there is none. */
  async pinned(supervisor: Supervisor, own: string): Promise<PluginVersion | null> {
    const { name, manifest } = supervisor;
    const pin = this.#store?.pinned(name) ?? null;
    if (pin === null) return null;
    const exclude = manifest.permissions.write;
    const content = await contentHash(own, { exclude });
    if (!content.ok || content.hash !== pin.insteadOf) {
      this.admit(name);
      return null;
    }
    const found = await this.#read(name, { hash: pin.use, folder: "", keptMs: 0 }, exclude);
    if (found.ok) return found.version;
    this.#log.error("plugins.pin_lost", { plugin: name, reason: found.problem });
    return null;
  }
}

/** Null: it cannot be read just now. */
function fingerprintOf({ manifest }: PluginVersion, folder: string): string | null {
  const exclude = manifest.permissions.write;
  const read = contentFingerprint(folder, { exclude, nodeModules: false });
  return read.ok ? read.fingerprint : null;
}
