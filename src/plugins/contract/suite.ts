/** What the conductor relies on in every plugin, checked against one for real. */

import type { LogLine } from "../log-tail.ts";
import type { Manifest } from "../manifest.ts";
import { type CheckResult, fail, Ledger, ok } from "./check.ts";
import { starts, stops, tellsHealth, writesOnlyMessages } from "./life-checks.ts";
import { ManagedPlugin } from "./managed-plugin.ts";
import type { ContractOptions } from "./options.ts";
import { checkRaw, rawCheckNames } from "./raw-checks.ts";
import { checkRequests, requestCheckNames } from "./request-checks.ts";

export interface ContractReport {
  /** The manifest's name; null when it is invalid. */
  plugin: string | null;
  /** No check failed, and none was left out because of an interruption. */
  ok: boolean;
  checks: CheckResult[];
  /** The last lines that it wrote. */
  logs: LogLine[];
}

const shownLines = 20;
const afterStart = ["health", ...requestCheckNames, "output", "stop"];

/** Runs every check that fits the plugin, in processes of its own. Never throws; leaves nothing behind. */
export async function checkContract(options: ContractOptions): Promise<ContractReport> {
  const ledger = new Ledger(options.clock, options.onResult, options.signal);
  const opened = await ManagedPlugin.open(options);
  const { found } = opened instanceof ManagedPlugin ? opened : { found: null };
  await ledger.check("manifest", () =>
    found?.manifest
      ? ok(describe(found.manifest))
      : fail("errors" in opened ? opened.errors.join("; ") : "it has no manifest"),
  );
  if (!(opened instanceof ManagedPlugin) || !found?.manifest) {
    await ledger.skipAll([...rawCheckNames, "start", ...afterStart], "the manifest is invalid");
    return report(ledger, null);
  }
  try {
    await runAll(ledger, opened, found.manifest);
  } finally {
    await opened.close();
  }
  return report(ledger, opened);
}

async function runAll(ledger: Ledger, plugin: ManagedPlugin, manifest: Manifest): Promise<void> {
  const { options, workspace, tail, name } = plugin;
  const supervisedOnly = manifest.runtime === "exec" && manifest.protocol === "none";
  const because = "protocol: none: it takes no calls";
  if (supervisedOnly) await ledger.skipAll(rawCheckNames, because);
  else {
    const initializes = await checkRaw(ledger, {
      manifest,
      folder: options.folder,
      dataFolder: workspace.dataFolder(name),
      options,
      onLine: (stream, line) => tail.add({ plugin: name, stream, line }, options.clock.nowMs()),
    });
    if (!initializes) {
      await ledger.skipAll(["start", ...afterStart], "it does not initialize");
      return;
    }
  }
  if ((await ledger.check("start", () => starts(plugin))) === "failed") {
    await ledger.skipAll(afterStart, "it does not start");
    return;
  }
  await ledger.check("health", () => tellsHealth(plugin));
  if (supervisedOnly) await ledger.skipAll(requestCheckNames, because);
  else await checkRequests(ledger, plugin);
  await ledger.check("output", () => writesOnlyMessages(plugin));
  await ledger.check("stop", () => stops(plugin));
}

function describe(manifest: Manifest): string {
  const { name, version, runtime, start } = manifest;
  const protocol = manifest.runtime === "exec" ? `, protocol ${manifest.protocol}` : "";
  return `${name} ${version}, runtime ${runtime}${protocol}, start ${start}`;
}

const report = ({ results, signal }: Ledger, plugin: ManagedPlugin | null): ContractReport => ({
  plugin: plugin?.name ?? null,
  ok: !signal.aborted && results.every(({ outcome }) => outcome !== "failed"),
  checks: results,
  logs: plugin?.tail.read(plugin.name, { lines: shownLines }).logs ?? [],
});
