import { join } from "node:path";
import { promotionProblems } from "../conductor/evidence-watch.ts";
import { missingSecrets } from "../conductor/make-events.ts";
import { storagePath } from "../conductor/make-state.ts";
import type { RouteRule } from "../config/route-rule.ts";
import { pluginSearchPath } from "../plugins/child-environment.ts";
import { scanCode } from "../plugins/code-scan.ts";
import { contentHash } from "../plugins/content-hash.ts";
import { sortDependencies } from "../plugins/dependencies.ts";
import { type FoundPlugin, PluginScanner } from "../plugins/discovery.ts";
import { folderOfSource } from "../plugins/found-plugin.ts";
import { pluginPlaces } from "../plugins/plugin-folders.ts";
import { type Command, configOption, exitCode, outputOption, wantsJson } from "./command.ts";
import { configuration } from "./configuration.ts";
import { modelFindings } from "./model-support.ts";

/** `conductor check`: everything that is wrong with the configuration and the plugins, without starting anything. */
export const checkCommand: Command = {
  name: "check",
  summary: "Validate the configuration and the plugins without starting anything",
  usage: "conductor check [--config FILE] [-o json]",
  options: { ...configOption, ...outputOption },
  positionals: 0,
  run: async (invocation) => {
    const json = wantsJson(invocation);
    const { config, file, baseFolder } = configuration(invocation);
    const places = await pluginPlaces(baseFolder, config.plugins.dirs, config.plugins.bundled);
    const searchPath = pluginSearchPath(invocation.environment);
    const { plugins, errors } = await new PluginScanner({ ...places, searchPath }).scan();
    const found = [
      ...errors.map(({ message }) => message),
      ...plugins.flatMap((plugin) => plugin.errors),
      ...requirementErrors(plugins),
      ...promotionProblems(config),
    ];
    const models = await modelFindings(config, storagePath(config, baseFolder), invocation.environment);
    found.push(...models.errors);
    const details: Details[] = [];
    // One after the other: each holds files open.
    for (const plugin of plugins) details.push(await detailsOf(plugin));
    const warnings = [
      // A warning only: the service that runs it may have another environment.
      ...missingSecrets(config, invocation.environment).map((line) => `webhooks: ${line}`),
      ...orderWarnings(config.scaler.order, plugins),
      ...ruleWarnings(config.routing.rules, plugins),
      ...models.warnings,
      ...details.flatMap((each) => each.warnings),
    ];
    const ok = found.length === 0;
    if (json) {
      const listed = details.map(({ warnings: _, ...listed }) => listed);
      invocation.terminal.out(
        JSON.stringify({ ok, config: file, plugins: listed, errors: found, warnings }, null, 2),
      );
      return ok ? exitCode.ok : exitCode.failed;
    }
    for (const line of found) invocation.terminal.err(`conductor: ${line}`);
    for (const line of warnings) invocation.terminal.err(`conductor: warning: ${line}`);
    const summary = `${file ?? "defaults"}: ${plugins.map(({ name }) => name).join(", ") || "no plugins"}`;
    invocation.terminal.out(
      ok ? `ok: ${summary}` : `${found.length} ${found.length === 1 ? "problem" : "problems"}: ${summary}`,
    );
    for (const { name, version, sha256, notes } of details) {
      if (sha256 !== null) invocation.terminal.out(`  ${name} ${version} sha256: ${sha256}`);
      for (const line of notes) invocation.terminal.out(`    ${line}`);
    }
    return ok ? exitCode.ok : exitCode.failed;
  },
};

/** What requires something that is not there, or itself. */
function requirementErrors(plugins: readonly FoundPlugin[]): string[] {
  const manifests = plugins.flatMap(({ manifest }) => (manifest ? [manifest] : []));
  const invalid = new Set(plugins.flatMap(({ name, manifest }) => (manifest ? [] : [name])));
  return [...sortDependencies(manifests, invalid).errors].map(([name, error]) => `${name}: ${error}`);
}

interface Details {
  name: string;
  valid: boolean;
  version: string | null;
  /** Hash of the content, for `sha256:` in the manifest; null where there is none or it cannot be read. */
  sha256: string | null;
  warnings: string[];
  /** What the code does that no permission covers. */
  notes: string[];
}

/** The content's hash, and what the code does that the manifest does not ask for. */
async function detailsOf({ name, manifest, source }: FoundPlugin): Promise<Details> {
  const folder = folderOfSource(source);
  const details = { name, valid: manifest !== null, version: manifest?.version ?? null };
  if (folder === null || manifest === null) return { ...details, sha256: null, warnings: [], notes: [] };
  const content = await contentHash(folder, { exclude: manifest.permissions.write });
  const findings = scanCode(folder, manifest);
  const of = (wanted: "warning" | "note") => findings.filter(({ kind }) => kind === wanted);
  const warnings = of("warning").map(
    ({ file, line, message }) => `${join(folder, file)}:${line}: ${name} ${message}`,
  );
  const notes = of("note").map(({ file, line, message }) => `${file}:${line}: ${message}`);
  if (!content.ok) warnings.push(`${name}: has no hash: ${content.message}`);
  return { ...details, sha256: content.ok ? content.hash : null, warnings, notes };
}

/** Platforms that rules name and no plugin serves: it may come later, and until then its fallbacks answer. */
function ruleWarnings(rules: readonly RouteRule[], plugins: readonly FoundPlugin[]): string[] {
  const served = new Set(plugins.flatMap(({ manifest }) => (manifest ? [manifest.platform] : [])));
  return rules.flatMap(({ name, to, fallback }) => {
    const absent = [to, ...(fallback ?? [])].filter((platform) => !served.has(platform));
    return absent.length
      ? [`routing.rules: "${name}" names ${absent.join(", ")}: no plugin serves that`]
      : [];
  });
}

/** Plugins that the order does not name are shed first, which may not be what their owner expects. */
function orderWarnings(order: readonly string[], plugins: readonly FoundPlugin[]): string[] {
  const names = plugins.filter(({ manifest }) => manifest !== null).map(({ name }) => name);
  const unnamed = names.filter((name) => !order.includes(name));
  const absent = order.filter((name) => !names.includes(name));
  return [
    ...(unnamed.length
      ? [`scaler.order does not name ${unnamed.join(", ")}: shed before those it names`]
      : []),
    ...(absent.length ? [`scaler.order names ${absent.join(", ")}: there is no such plugin`] : []),
  ];
}
