/** Plugins for a simulated host from a YAML file. */

import * as z from "zod";
import { describeIssues } from "../config/issues.ts";
import { ConfigError } from "../config/load.ts";
import { bytes, duration, pluginName, ratio } from "../config/quantities.ts";
import { parseYaml } from "../config/yaml.ts";
import { flat, noise, together } from "./curve.ts";
import { patternNames, pressureOf, usualTimes } from "./scenarios.ts";
import { seedOf } from "./seeded.ts";
import type { PluginModel } from "./simulated-plugin.ts";

const kinds = patternNames.filter((name) => name !== "mixed");

const plugin = z.strictObject({
  name: pluginName,
  base: bytes(),
  pattern: z.enum(kinds as [(typeof kinds)[number]]).optional(),
  /** Of the budget; how much the pattern adds, at least and at most. */
  size: z.tuple([ratio(), ratio()]).optional(),
  start: duration(1).prefault(`${usualTimes.startMs}ms`),
  stop: duration(0).prefault(`${usualTimes.stopMs}ms`),
  reclaim: duration(1).prefault(`${usualTimes.reclaimMs}ms`),
  requires: z.array(pluginName).default([]),
  protect: z.boolean().default(false),
});

/** Most plugins of a file. */
const mostPlugins = 100;

const schema = z
  .array(plugin)
  .min(1)
  .max(mostPlugins)
  .superRefine((list, context) => {
    list.forEach(({ name, pattern, size, requires }, index) => {
      const refuse = (key: string, message: string) =>
        context.addIssue({ code: "custom", path: [index, key], message });
      if (list.findIndex((each) => each.name === name) < index) refuse("name", `"${name}" stands twice`);
      if (pattern && !size) refuse("size", `expected [least, most] of the budget for the pattern ${pattern}`);
      if (size && size[0] > size[1]) refuse("size", "expected the lesser share first");
      for (const required of requires)
        if (!list.some((each) => each.name === required))
          refuse("requires", `"${required}" is not in this file`);
    });
  });

/** The plugins of the text of `file`. Throws ConfigError with file, line, key and what is allowed. */
export function readPlugins(
  text: string,
  file: string,
  { seed, budgetBytes }: { seed: number; budgetBytes: number },
): PluginModel[] {
  const yaml = parseYaml(text, file);
  if (!yaml.ok) throw new ConfigError(yaml.errors);
  const parsed = schema.safeParse(yaml.value ?? []);
  if (!parsed.success)
    throw new ConfigError(describeIssues(parsed.error, schema, yaml.value, file, yaml.lineOf));
  return parsed.data.map(({ name, base, pattern, size, start, stop, reclaim, requires, protect }, index) => {
    const own = seedOf(seed, 200 + index);
    const curves = [flat(base), noise(own, base * 0.01)];
    if (pattern && size) curves.push(pressureOf(pattern)({ seed: seedOf(own, 1), budgetBytes }, size));
    return {
      name,
      curve: together(curves),
      startMs: start,
      stopMs: stop,
      reclaimMs: reclaim,
      ...(requires.length > 0 ? { requires } : {}),
      ...(protect ? { protect } : {}),
    };
  });
}
