/** npm packages that are plugins: those in `DIR/node_modules` whose package.json has a `conductor` field. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { LineOf } from "../config/issues.ts";
import { type ParsedManifest, parseManifestValue } from "./manifest.ts";

/** Largest package.json that is looked into. */
export const largestPackageBytes = 256 * 1024;

/** Most packages looked at in one `node_modules`. */
const mostPackages = 10_000;

/** What a package.json says of a plugin. */
export type PackageField =
  | { kind: "none" }
  /** The field is the path of a plugin.yaml. */
  | { kind: "pointer"; package: string; path: string }
  /** The field is the manifest. */
  | { kind: "manifest"; package: string; parsed: ParsedManifest };

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith("."))
      .map(({ name }) => name)
      .sort();
  } catch {
    return []; // No packages, or none that this user may see: neither is a mistake in the plugins' folder.
  }
}

/** The folders of the packages in `dir/node_modules`, those of scopes too. */
export function packageFolders(dir: string): string[] {
  const modules = join(dir, "node_modules");
  return namesIn(modules)
    .flatMap((name) =>
      name.startsWith("@")
        ? namesIn(join(modules, name)).map((inside) => join(modules, name, inside))
        : join(modules, name),
    )
    .slice(0, mostPackages);
}

const textOr = (value: unknown, otherwise: string): string =>
  typeof value === "string" && value !== "" ? value : otherwise;

/** "@me/conductor-bot" as "conductor-bot". */
const withoutScope = (name: string): string => name.slice(name.lastIndexOf("/") + 1);

/** Reads the `conductor` field from the text of a package.json. */
export async function packageField(text: string, file: string): Promise<PackageField> {
  // Nearly every package is none of ours: they cost no parsing.
  if (!text.includes('"conductor"')) return { kind: "none" };
  const failed = (name: string, error: string): PackageField => ({
    kind: "manifest",
    package: name,
    parsed: { ok: false, name: null, errors: [`${file}: ${error}`] },
  });
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    return failed("", `expected JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof fields !== "object" || fields === null || !Object.hasOwn(fields, "conductor"))
    return { kind: "none" };
  const { conductor } = fields;
  const name = textOr(fields.name, "");
  if (typeof conductor === "string") return { kind: "pointer", package: name, path: conductor };
  if (typeof conductor !== "object" || conductor === null || Array.isArray(conductor))
    return failed(name, "conductor: expected the manifest, or the path of a plugin.yaml in this package");
  const runsAProgram = (conductor as { runtime?: unknown }).runtime === "exec";
  const entry = textOr(fields.main, textOr(fields.module, "index.js"));
  const manifest = {
    name: withoutScope(name),
    ...(typeof fields.version === "string" ? { version: fields.version } : {}),
    ...(runsAProgram ? {} : { entry }),
    ...conductor,
  };
  let parsed = parseManifestValue(manifest, file);
  // Only a mistake needs the lines.
  if (!parsed.ok) parsed = parseManifestValue(manifest, file, await linesIn(text, file));
  return { kind: "manifest", package: name, parsed };
}

async function linesIn(text: string, file: string): Promise<LineOf> {
  const { parseYaml } = await import("../config/yaml.ts");
  const parsed = parseYaml(text, file);
  return parsed.ok ? (path) => parsed.lineOf(["conductor", ...path]) : () => null;
}
