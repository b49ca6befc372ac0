/** What `check` and `doctor` say of the language models: their files, what they need, and what this machine has for them. */

import { existsSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pluginDataFolder } from "../conductor/state-folder.ts";
import type { ModelSettings } from "../config/models-schema.ts";
import type { Config } from "../config/schema.ts";
import { formatBytes } from "../config/units.ts";
import {
  coresOf,
  gpusOf,
  type Hardware,
  type HardwareReads,
  hardwareOf,
  modelFor,
} from "../models/hardware.ts";
import { type ReadModel, readModels } from "../models/model-files.ts";
import { needBytes } from "../models/need.ts";
import { hasProc, ProcSource } from "../monitor/host-source.ts";
import { llamaInstallCommand } from "../plugins/bundled.ts";
import type { Support } from "../plugins/enforcement.ts";
import { offeredFolders } from "../storage/location.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What is there for a read; null where there is nothing, or not for this user. */
const reads: HardwareReads = {
  text: (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return null; // Either way it tells nothing.
    }
  },
  list: (path) => {
    try {
      return readdirSync(path);
    } catch {
      return null; // As above.
    }
  },
};

function diskFreeBytes(path: string | undefined): number | null {
  try {
    const { bavail, bsize } = statfsSync(path === undefined ? "/" : dirname(path));
    return bavail * bsize;
  } catch {
    return null; // The folder of a model that is missing is told of otherwise.
  }
}

/** Null where memory cannot be measured. */
function hardware({ budget, models }: Config): Hardware | null {
  const budgetBytes = hasProc() ? new ProcSource(budget.memory ?? null).memory()?.budgetBytes : undefined;
  const cores = coresOf(reads);
  if (budgetBytes === undefined || cores === null) return null;
  const first = models.find(({ model }) => model?.startsWith("/"))?.model;
  // The models that are there already take no more room.
  const diskFree = first === undefined ? diskFreeBytes(undefined) : null;
  return hardwareOf({ cores, budgetBytes, gpus: gpusOf(reads), diskFreeBytes: diskFree });
}

/** Where node-llama-cpp is looked for; null: the state is in memory, and no folder was named. */
export function libraryFolder(
  config: Config,
  storagePath: string | undefined,
  environment: Environment,
): string | null {
  const named = config.plugins.config.llama?.folder;
  if (typeof named === "string") return named;
  if (storagePath === ":memory:") return null;
  const folder = storagePath === undefined ? offeredFolders(environment)[0]?.folder : dirname(storagePath);
  return folder === undefined ? null : join(pluginDataFolder(folder), "llama");
}

const isInstalled = (folder: string): boolean =>
  existsSync(join(folder, "node_modules", "node-llama-cpp", "package.json"));

async function librarySupport(folder: string | null): Promise<Support> {
  const what = "node-llama-cpp";
  if (folder === null)
    return {
      what,
      mechanism: null,
      missing: "the state is in memory, so there is no folder to look for it in",
      remedy: "set plugins.config.llama.folder, or storage.path",
    };
  if (isInstalled(folder)) return { what, mechanism: folder, missing: null, remedy: null };
  return {
    what,
    mechanism: null,
    missing: `it is not installed in ${folder}: models of the engine llama cannot be loaded`,
    remedy: `mkdir -p ${folder} && ${await llamaInstallCommand(folder, process.execPath)}`,
  };
}

const needOf = ({ tier }: ReadModel): number | null =>
  needBytes({ ...tier.bytes, learned: [] }, tier.contextTokens, tier.contextTokens);

function modelSupport(read: ReadModel, chosen: ReadModel | null, machine: Hardware | null): Support {
  const what = `model ${read.settings.name}`;
  const { failure } = read;
  if (failure) return { what, mechanism: null, missing: failure.message, remedy: failure.remedy };
  const need = needOf(read);
  if (need === null)
    return {
      what,
      mechanism: null,
      missing: "nothing tells how much memory it needs, so it is never loaded",
      remedy: `give it memory: in the configuration, such as memory: 4GiB`,
    };
  const needs = need === 0 ? "takes no memory of this host" : `needs ${formatBytes(need)}`;
  const most = machine === null ? "" : formatBytes(machine.mostModelBytes);
  const fits =
    machine === null
      ? ""
      : read === chosen
        ? ": the best that leaves room for everything else"
        : need <= machine.mostModelBytes
          ? ": fits, and a better one does too"
          : `: more than the ${most} that leave room for everything else; it is loaded only while the host has it free`;
  return { what, mechanism: `${needs}${fits}`, missing: null, remedy: null };
}

/** The class of the machine, then what each configured model needs, and what its engine lacks. */
export async function modelsSupport(
  config: Config,
  storagePath: string | undefined,
  environment: Environment,
): Promise<Support[]> {
  const machine = hardware(config);
  const told: Support[] = machine
    ? [
        {
          what: "hardware",
          mechanism: `${machine.kind}: ${machine.because}; for a language model ${formatBytes(machine.mostModelBytes)}, some ${machine.billionWeights} billion weights at four bits`,
          missing: null,
          remedy: null,
        },
      ]
    : [];
  if (config.models.length === 0) return told;
  const read = await readModels(config.models);
  const usable = read
    .filter(({ failure }) => failure === null)
    .map((each) => ({ each, needBytes: needOf(each) }));
  const chosen = machine && (modelFor(machine, usable)?.each ?? null);
  const library = config.models.some(({ engine }) => engine === "llama")
    ? [await librarySupport(libraryFolder(config, storagePath, environment))]
    : [];
  return [...told, ...read.map((each) => modelSupport(each, chosen, machine)), ...library];
}

/** For `check`: what keeps a model from ever being loaded, and what this environment lacks for one. */
export async function modelFindings(
  config: Config,
  storagePath: string | undefined,
  environment: Environment,
): Promise<{ errors: string[]; warnings: string[] }> {
  const errors: string[] = [];
  const warnings: string[] = [];
  for (const read of await readModels(config.models)) {
    const { settings, failure } = read;
    if (failure) errors.push(`models: ${settings.name}: ${failure.message}; ${failure.remedy}`);
    else if (needOf(read) === null)
      errors.push(`models: ${settings.name}: nothing tells how much memory it needs; give it memory`);
    warnings.push(
      ...engineWarnings(settings, environment).map((line) => `models: ${settings.name}: ${line}`),
    );
  }
  if (config.models.some(({ engine }) => engine === "llama")) {
    const { missing, remedy } = await librarySupport(libraryFolder(config, storagePath, environment));
    if (missing !== null) warnings.push(`models: node-llama-cpp: ${missing}; run: ${remedy}`);
  }
  return { errors, warnings };
}

/** Warnings only: the service that runs it may have another environment. */
function engineWarnings({ keyVariable, command }: ModelSettings, environment: Environment): string[] {
  const [program] = command ?? [];
  return [
    ...(keyVariable !== undefined && !environment[keyVariable]
      ? [`${keyVariable} is not set here: it is asked without a key`]
      : []),
    ...(program !== undefined && Bun.which(program, { PATH: environment.PATH ?? "" }) === null
      ? [`${JSON.stringify(program)}: no such program here`]
      : []),
  ];
}
