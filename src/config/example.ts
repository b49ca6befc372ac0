/** The commented example that `conductor init` writes, made from the schema so that it can not fall behind. */

import * as z from "zod";
import { configSchema } from "./schema.ts";

type Node = { description?: string; default?: unknown; properties?: Record<string, Node> };

/** Values shown for settings that have no default. */
const shownWithoutDefault: Record<string, string> = {
  "storage.path": "/var/lib/conductor/conductor.db",
  "budget.memory": "12GiB",
  "scaler.shed": "80%",
  "scaler.restore": "65%",
  "scaler.emergency": "95%",
  "scaler.margin": "5%",
  "scaler.dwell": "30s",
  "scaler.victims": "order",
  "scaler.putOff.initial": "1m",
  "scaler.putOff.max": "1h",
  "scaler.putOff.relapse": "10m",
  "scaler.triggers.load": "100",
  "breaker.thresholds.timeout": "3",
  "breaker.thresholds.error": "3",
  "breaker.thresholds.crash": "3",
  "routing.concurrency.limit": "16",
  "plugins.dirs": "[./plugins]",
  "plugins.bundled": "false",
};

const header = `# conductor.yaml: every setting with its default. Remove the leading "# " of what you change.
# Quantities need a unit: 512MiB, 30s, 5m, 80%. "conductor check" says what is wrong, before anything starts.
# Each setting can also come from the environment: scaler.shed is CONDUCTOR_SCALER_SHED.
`;

const written = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : flow(value);

/** A value in YAML's flow style: `[a, b]`. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  return JSON.stringify(value) ?? "null";
}

function lines(node: Node, path: readonly string[]): string[] {
  const indent = "  ".repeat(path.length);
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const childPath = [...path, key];
    const comment = child.description ? [`# ${indent}# ${child.description}`] : [];
    if (child.properties)
      return [...(path.length ? [] : [""]), ...comment, `# ${indent}${key}:`, ...lines(child, childPath)];
    const value =
      child.default === undefined ? shownWithoutDefault[childPath.join(".")] : written(child.default);
    return [...comment, `# ${indent}${key}: ${value ?? ""}`];
  });
}

/** The example file's text. Uncommented as a whole it is a valid configuration. */
export function exampleConfig(): string {
  return `${header}${lines(z.toJSONSchema(configSchema, { io: "input" }) as Node, []).join("\n")}\n`;
}
