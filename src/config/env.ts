/** `CONDUCTOR_…` environment variables over the file: `monitor.reflex.fastest` is CONDUCTOR_MONITOR_REFLEX_FASTEST. */

import * as z from "zod";
import type { KeyPath } from "./issues.ts";
import { nearest } from "./nearest.ts";
import { configSchema } from "./schema.ts";

/** Variables with the prefix that are not settings. */
const reserved = new Set(["CONDUCTOR_CONFIG", "CONDUCTOR_TOKEN", "CONDUCTOR_PLUGIN", "CONDUCTOR_RUN"]);

type JsonNode = { type?: string; properties?: Record<string, JsonNode>; items?: JsonNode };
type Setting = { path: string[]; type: string };

function settingsOf(node: JsonNode, path: string[], into: Map<string, Setting>): void {
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const childPath = [...path, key];
    if (child.properties) settingsOf(child, childPath, into);
    else if (child.type && child.type !== "object" && child.items?.type !== "object")
      into.set(variableName(childPath), { path: childPath, type: child.type });
  }
}

/** The variable that overrides the setting at `path`. */
export function variableName(path: KeyPath): string {
  const words = path.map((step) =>
    String(step)
      .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
      .toUpperCase(),
  );
  return `CONDUCTOR_${words.join("_")}`;
}

/** Every setting that has a variable, by the variable's name. */
export function settingsByVariable(): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  settingsOf(z.toJSONSchema(configSchema, { io: "input" }) as JsonNode, [], settings);
  return settings;
}

/** The text of a variable as the YAML value of its type; a text that is no such value is left for zod to refuse. */
function yamlValue(text: string, type: string): unknown {
  if (type === "array") return text.split(",").map((entry) => entry.trim());
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (type === "integer" || type === "number") return text.trim() === "" ? text : orText(Number(text), text);
  return text;
}

const orText = (number: number, text: string): number | string => (Number.isNaN(number) ? text : number);

export type Overrides = { values: { path: string[]; value: unknown; variable: string }[]; errors: string[] };

/** The overrides in `environment`; a variable with the prefix that names no setting is an error. */
export function overridesFrom(environment: Readonly<Record<string, string | undefined>>): Overrides {
  const names = Object.keys(environment).filter(
    (name) => name.startsWith("CONDUCTOR_") && !reserved.has(name),
  );
  const result: Overrides = { values: [], errors: [] };
  if (names.length === 0) return result;
  const settings = settingsByVariable();
  for (const variable of names.sort()) {
    const setting = settings.get(variable);
    const text = environment[variable];
    if (setting && text !== undefined)
      result.values.push({ path: setting.path, value: yamlValue(text, setting.type), variable });
    if (setting) continue;
    const near = nearest(variable, [...settings.keys(), ...reserved]);
    result.errors.push(
      `environment: ${variable}: unknown setting; ${near ? `did you mean ${near}?` : "see conductor schema"}`,
    );
  }
  return result;
}
