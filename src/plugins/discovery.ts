/**
 * Finds the plugins: one folder a plugin in the given folders, npm packages beside them, those that the code around
 * registers, and those inside the executable.
 */

import { basename, dirname, join } from "node:path";
import { listPluginFolders } from "./folder-listing.ts";
import { entryProblem, type ProgramLookup, programLookup } from "./folder-paths.ts";
import type { BundledPlugin, Discovery, FoundPlugin, PartTerms, PluginSource } from "./found-plugin.ts";
import {
  largestManifestBytes,
  type ParsedManifest,
  parseManifestText,
  parseManifestValue,
} from "./manifest.ts";
import { ManifestFiles } from "./manifest-files.ts";
import { largestPackageBytes, packageField, packageFolders } from "./package-plugins.ts";
import { ParsedFiles } from "./parsed-files.ts";
import { PluginNames } from "./plugin-names.ts";
import { ScanCache } from "./scan-cache.ts";

export type { BundledPlugin, Discovery, FoundPlugin, PartTerms, PluginSource } from "./found-plugin.ts";

export interface ScannerOptions {
  /** Absolute paths of folders that hold one folder a plugin, and perhaps `node_modules`. */
  dirs: readonly string[];
  bundled: readonly BundledPlugin[];
  /** PATH as plugins are given it; null: programs without a slash are looked up at each start only. */
  searchPath: string | null;
}

/** A plugin that the code around the manager hands over. */
export interface Registration {
  /** What its plugin.yaml would hold. */
  manifest: Readonly<Record<string, unknown>>;
  /** Where its files lie, absolute; null: it has none, and so can only be `runtime: exec` with a program on PATH. */
  folder: string | null;
  /** It is no plugin but a part of conductor; absent: a plugin. */
  part?: PartTerms;
}

/** A manifest with all that is needed to judge it. */
interface Candidate {
  /** The file it is in, or what stands for one in messages; unique. */
  file: string;
  source: PluginSource;
  folder: string | null;
  /** What it is called when the manifest does not tell. */
  otherwise: string;
  parsed: ParsedManifest;
  hash: string | null;
  /** Where the manifest's keys are in the file; null: nowhere. */
  keyPrefix: readonly string[] | null;
}

/** Scans as often as one likes: what did not change is not read again. */
export class PluginScanner {
  readonly #options: ScannerOptions;
  readonly #yaml = new ParsedFiles<ParsedManifest>(largestManifestBytes, parseManifestText);
  readonly #packages = new ParsedFiles(largestPackageBytes, packageField);
  readonly #files = new ManifestFiles();
  /** What the last scan found of each: its manifest, its entry, its errors. */
  readonly #facts = new ScanCache<string>();
  readonly #registered = new Map<number, Registration>();
  #registrations = 0;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: ScannerOptions) {
    this.#options = options;
  }

  /** From the next scan on it is found, until the function returned is called and another scan made. */
  register(registration: Registration): () => void {
    const id = ++this.#registrations;
    this.#registered.set(id, registration);
    return () => void this.#registered.delete(id);
  }

  /**
   * Reads every manifest. Never rejects: a missing folder and a name that two plugins share are in `errors`, a broken
   * manifest is a plugin without one. Calls at the same time wait for each other.
   */
  scan(): Promise<Discovery> {
    const scan = this.#running.then(() => this.#scan());
    this.#running = scan.catch(() => undefined);
    return scan;
  }

  async #scan(): Promise<Discovery> {
    const { dirs, bundled, searchPath } = this.#options;
    const lookup = searchPath === null ? null : programLookup(searchPath);
    const names = new PluginNames();
    const errors: Discovery["errors"] = [];
    let looked = 0;
    const add = async (candidate: Candidate | null) => {
      // Requests are served meanwhile, however many plugins there are.
      if (++looked % 128 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      if (candidate) names.add(await this.#judge(candidate, lookup));
    };
    for (const dir of dirs) {
      const listing = listPluginFolders(dir);
      errors.push(...listing.errors);
      for (const folder of listing.folders) await add(await this.#inFolder(folder));
      for (const { folder, problem } of listing.broken)
        names.add(this.#broken({ kind: "folder", folder }, basename(folder), problem));
      for (const folder of packageFolders(dir)) await add(await this.#inPackage(folder));
    }
    for (const [id, registration] of this.#registered) await add(registeredCandidate(id, registration));
    for (const plugin of bundled) await add(await bundledCandidate(plugin));
    for (const cache of [this.#yaml, this.#packages, this.#files, this.#facts]) cache.endScan();
    return { plugins: names.plugins, errors: [...errors, ...names.errors] };
  }

  async #inFolder(folder: string): Promise<Candidate | null> {
    return this.#inYaml(join(folder, "plugin.yaml"), { kind: "folder", folder }, basename(folder));
  }

  async #inYaml(file: string, source: PluginSource, otherwise: string): Promise<Candidate | null> {
    const read = await this.#yaml.read(file);
    if (read.kind === "absent") return null;
    const base = { file, source, folder: dirname(file), otherwise, keyPrefix: [] };
    if (read.kind === "problem")
      return { ...base, parsed: { ok: false, name: null, errors: [read.problem] }, hash: null };
    return { ...base, parsed: read.value, hash: read.hash };
  }

  async #inPackage(folder: string): Promise<Candidate | null> {
    const file = join(folder, "package.json");
    const read = await this.#packages.read(file);
    // A package that cannot be read says nowhere that it is a plugin.
    if (read.kind !== "parsed" || read.value.kind === "none") return null;
    const field = read.value;
    const otherwise = basename(folder);
    const source: PluginSource = { kind: "package", folder, package: field.package || otherwise };
    const base = { file, source, folder, otherwise, hash: read.hash, keyPrefix: ["conductor"] };
    if (field.kind === "manifest") return { ...base, parsed: field.parsed };
    const problem = entryProblem(field.path, folder);
    const errors = problem === null ? [] : [`${file}: conductor: ${problem}`];
    if (errors.length > 0) return { ...base, parsed: { ok: false, name: null, errors } };
    const manifestFile = join(folder, field.path);
    return this.#inYaml(manifestFile, { ...source, folder: dirname(manifestFile) }, otherwise);
  }

  #broken(source: PluginSource, name: string, problem: string): FoundPlugin {
    const key = `${source.kind} ${name} ${problem}`;
    const changed = this.#facts.get(key) === undefined;
    this.#facts.set(key, problem);
    return { name, source, manifest: null, errors: [problem], manifestHash: null, changed };
  }

  async #judge(candidate: Candidate, lookup: ProgramLookup | null): Promise<FoundPlugin> {
    const { file, source, folder, otherwise, parsed, hash, keyPrefix } = candidate;
    const { errors, state } = parsed.ok
      ? await this.#files.check({ manifest: parsed.manifest, source, file, folder, hash, keyPrefix, lookup })
      : { errors: parsed.errors, state: "" };
    const facts = [hash, state, ...errors].join("\0");
    const changed = this.#facts.get(file) !== facts;
    this.#facts.set(file, facts);
    const name = parsed.ok ? parsed.manifest.name : (parsed.name ?? otherwise);
    const manifest = parsed.ok && errors.length === 0 ? parsed.manifest : null;
    return { name, source, manifest, errors, manifestHash: hash, changed };
  }
}

const hashOf = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

async function bundledCandidate({ name, manifestText }: BundledPlugin): Promise<Candidate> {
  const file = `bundled ${name}/plugin.yaml`;
  const parsed = await parseManifestText(manifestText, file);
  const source: PluginSource = { kind: "bundled" };
  return { file, source, folder: null, otherwise: name, parsed, hash: hashOf(manifestText), keyPrefix: null };
}

function registeredCandidate(id: number, { manifest, folder, part }: Registration): Candidate {
  const source: PluginSource = part ? { kind: "part", terms: part } : { kind: "registered", folder };
  const base = { source, folder, otherwise: `registered-${id}`, keyPrefix: null };
  const file = `registered ${typeof manifest.name === "string" ? manifest.name.slice(0, 64) : id}`;
  let text: string;
  try {
    text = JSON.stringify(manifest);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...base, file, parsed: { ok: false, name: null, errors: [`${file}: ${reason}`] }, hash: null };
  }
  // A copy: what its owner changes later is another registration.
  const parsed = parseManifestValue(JSON.parse(text), file);
  return { ...base, file: `${file} (${id})`, parsed, hash: hashOf(text) };
}

/** Scans once. Programs on PATH are left to the start. */
export function discover(dirs: readonly string[], bundled: readonly BundledPlugin[]): Promise<Discovery> {
  return new PluginScanner({ dirs, bundled, searchPath: null }).scan();
}
