/** Who there is: every plugin that was found, with its supervisor or with what is wrong with it. */

import { join, relative } from "node:path";
import { sortDependencies } from "./dependencies.ts";
import { type Discovery, type FoundPlugin, folderOfSource, type PartTerms } from "./found-plugin.ts";
import type { Manifest } from "./manifest.ts";
import type { PluginVersion } from "./plugin-version.ts";
import { invalidView, type PluginView, viewOf } from "./plugin-view.ts";
import { invalidStanding, mostReady, type Standing } from "./standing.ts";
import type { Supervisor } from "./supervisor.ts";

/** What a new scan brought. */
export interface RosterChanges {
  added: Supervisor[];
  /** Its manifest or folder is another one than the running version's. */
  changed: { supervisor: Supervisor; next: PluginVersion }[];
  /** Not found any more; still on the roster until `drop`. */
  removed: Supervisor[];
  /** Invalid now, by name; a running version of it goes on. */
  invalid: { name: string; reason: string }[];
}

/** The version that was found; its content has not been read. */
export function versionFound({ name, manifest, source }: FoundPlugin): PluginVersion {
  if (!manifest) throw new Error(`${name} has no manifest`);
  return { manifest, folder: folderOfSource(source), contentHash: null, fingerprint: null, kept: false };
}

export class Roster {
  readonly #supervisors = new Map<string, Supervisor>();
  #found: ReadonlyMap<string, FoundPlugin> = new Map();
  /** In this order each comes after what it requires. */
  #order: readonly string[] = [];
  #errors = new Map<string, string[]>();
  #scannedMs = 0;
  readonly #dependents = new Map<string, Supervisor[]>();
  /** Names of those that are parts of conductor, also of one that is not found any more and has not ended. */
  readonly #parts = new Map<string, PartTerms>();
  #standings: readonly Standing[] = [];
  #standingOf = new Map<string, Standing>();
  #standingsOfPlatform = new Map<string, Standing[]>();

  /** Takes over what a scan found; `create` makes the supervisor of one that is new. */
  take({ plugins }: Discovery, nowMs: number, create: (found: FoundPlugin) => Supervisor): RosterChanges {
    const changes: RosterChanges = { added: [], changed: [], removed: [], invalid: [] };
    this.#found = new Map(plugins.map((found) => [found.name, found]));
    this.#scannedMs = nowMs;
    for (const { name, source } of plugins) if (source.kind === "part") this.#parts.set(name, source.terms);
    this.#errors = this.#judge(plugins, (found) => found.manifest ?? this.#running(found));
    for (const found of plugins) {
      const errors = this.#errors.get(found.name);
      const supervisor = this.#supervisors.get(found.name);
      if (errors || !found.manifest) {
        changes.invalid.push({ name: found.name, reason: (errors ?? []).join("; ") });
      } else if (!supervisor) {
        const added = create(found);
        this.#supervisors.set(found.name, added);
        changes.added.push(added);
      } else if (differs(supervisor, found)) changes.changed.push({ supervisor, next: versionFound(found) });
    }
    for (const [name, supervisor] of this.#supervisors)
      if (!this.#found.has(name)) changes.removed.push(supervisor);
    this.arrange();
    return changes;
  }

  /** What is wrong with each plugin by itself, and with what it requires. */
  #judge(
    plugins: Iterable<FoundPlugin>,
    manifestOf: (found: FoundPlugin) => Manifest | null,
  ): Map<string, string[]> {
    const errors = new Map<string, string[]>();
    const nodes: Manifest[] = [];
    for (const found of plugins) {
      if (!found.manifest) errors.set(found.name, [...found.errors]);
      // Of one whose new manifest is broken the running version still counts.
      const manifest = manifestOf(found);
      if (manifest) nodes.push(manifest);
    }
    const sorted = sortDependencies(nodes);
    this.#order = sorted.order;
    for (const [name, error] of sorted.errors) errors.set(name, [...(errors.get(name) ?? []), error]);
    return errors;
  }

  #running({ name }: FoundPlugin): Manifest | null {
    return this.#supervisors.get(name)?.manifest ?? null;
  }

  /** Some version took over or did not: what requires what is judged by the versions that run now. */
  replaced(): void {
    const before = this.#errors;
    this.#errors = this.#judge(this.#found.values(), (found) => this.#running(found) ?? found.manifest);
    // One that could not start is looked at again by the next scan.
    for (const [name, errors] of before)
      if (!this.#supervisors.has(name) && !this.#errors.has(name)) this.#errors.set(name, errors);
    this.arrange();
  }

  /** Takes one off that was not found any more, once it has ended. */
  drop(name: string): void {
    this.#supervisors.delete(name);
    this.#parts.delete(name);
    this.arrange();
  }

  /** To be called when a plugin's platform or requirements may have changed: a new version took over. */
  arrange(): void {
    const listed = [...this.#found.keys()].map((name): Standing => {
      return this.#supervisors.get(name) ?? invalidStanding(name, this.#errors.get(name) ?? []);
    });
    const supervisors = this.supervisors();
    const all = [...listed, ...supervisors.filter(({ name }) => !this.#found.has(name))];
    this.#standings = all.filter(({ name }) => !this.#parts.has(name));
    this.#dependents.clear();
    for (const supervisor of supervisors)
      for (const required of supervisor.requires)
        this.#dependents.set(required, [...(this.#dependents.get(required) ?? []), supervisor]);
    this.#standingOf = new Map(all.map((standing) => [standing.name, standing]));
    this.#standingsOfPlatform = Map.groupBy(this.#standings, ({ platform }) => platform);
  }

  /** Whether `path` is in a folder that a plugin writes to itself, so that its changes are none of the plugin. */
  writes(path: string): boolean {
    for (const { manifest, source } of this.#found.values()) {
      const folder = folderOfSource(source);
      if (folder === null || !path.startsWith(`${folder}/`)) continue;
      for (const own of manifest?.permissions.write ?? []) {
        const inside = relative(join(folder, own), path);
        if (inside !== ".." && !inside.startsWith("../")) return true;
      }
    }
    return false;
  }

  supervisor(name: string): Supervisor | null {
    return this.#supervisors.get(name) ?? null;
  }

  /** Every supervisor, in the order in which they were found. */
  supervisors(): Supervisor[] {
    return [...this.#supervisors.values()];
  }

  /** What a part of conductor runs with; null for a plugin. */
  partOf(name: string): PartTerms | null {
    return this.#parts.get(name) ?? null;
  }

  /** Names of all that have a process of their own, parts of conductor too. */
  names(): string[] {
    return [...this.#standingOf.keys()];
  }

  /** Every supervisor, each after what it requires. */
  inOrder(): Supervisor[] {
    const rank = new Map(this.#order.map((name, index) => [name, index]));
    return this.supervisors().sort((a, b) => (rank.get(a.name) ?? Infinity) - (rank.get(b.name) ?? Infinity));
  }

  /** Those that require `name` directly. */
  dependentsOf(name: string): readonly Supervisor[] {
    return this.#dependents.get(name) ?? [];
  }

  /** The plugin as the last scan found it; null when it did not. */
  found(name: string): FoundPlugin | null {
    return this.#found.get(name) ?? null;
  }

  /** Every plugin, the invalid ones too, in the order of discovery; no parts of conductor (as in what follows). */
  views(): PluginView[] {
    return this.#standings.flatMap(({ name }) => this.view(name) ?? []);
  }

  /** One plugin; null when there is none of that name. */
  view(name: string): PluginView | null {
    const found = this.found(name);
    const supervisor = this.#supervisors.get(name);
    const errors = this.#errors.get(name) ?? [];
    if (supervisor)
      return viewOf(supervisor, found?.source ?? null, [
        ...errors,
        ...(supervisor.refused === null ? [] : [supervisor.refused]),
      ]);
    return found ? invalidView(name, found.source, errors, this.#scannedMs) : null;
  }

  /** Every plugin as it stands, in the order of `views`: live, and the same objects until the roster changes. */
  standings(): readonly Standing[] {
    return this.#standings;
  }

  /** How one plugin stands, live; null when there is none of that name. */
  standing(name: string): Standing | null {
    return this.#standingOf.get(name) ?? null;
  }

  /** The platforms that plugins serve, in the order of discovery. */
  platforms(): string[] {
    return [...this.#standingsOfPlatform.keys()];
  }

  /** The plugin for a platform's next request: one that serves, else one that can; null when no plugin has it. */
  serving(platform: string): Standing | null {
    return mostReady(this.#standingsOfPlatform.get(platform) ?? []);
  }
}

function differs({ version }: Supervisor, found: FoundPlugin): boolean {
  if (version.kept) return false; // Its own folder is compared by content.
  const { manifest, folder } = versionFound(found);
  return folder !== version.folder || !Bun.deepEquals(manifest, version.manifest);
}
