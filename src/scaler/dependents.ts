/** Who requires whom among the plugins, directly or through others. Pure; a circle, which no valid set has, ends too. */

import type { PluginFacts } from "./situation.ts";

/** `plugin` and everything that it requires, directly or through others, as far as it is among `plugins`. */
export function withRequirements(plugin: PluginFacts, plugins: readonly PluginFacts[]): Set<PluginFacts> {
  const named = new Map(plugins.map((each) => [each.name, each]));
  const found = new Set([plugin]);
  // What is added while the set is walked is walked too.
  for (const { requires = [] } of found)
    for (const name of requires) {
      const required = named.get(name);
      if (required) found.add(required);
    }
  return found;
}

/**
 * `roots` and everything that requires one of them, directly or through others: each after all that require it, else
 * in the order of `plugins`.
 */
export function dependentsFirst(
  roots: readonly PluginFacts[],
  plugins: readonly PluginFacts[],
): PluginFacts[] {
  const dependents = new Map<string, PluginFacts[]>();
  for (const plugin of plugins)
    for (const name of plugin.requires ?? []) {
      const others = dependents.get(name);
      if (others) others.push(plugin);
      else dependents.set(name, [plugin]);
    }
  const seen = new Set<PluginFacts>();
  const sorted: PluginFacts[] = [];
  const place = (plugin: PluginFacts): void => {
    if (seen.has(plugin)) return;
    seen.add(plugin);
    for (const dependent of dependents.get(plugin.name) ?? []) place(dependent);
    sorted.push(plugin);
  };
  for (const root of roots) place(root);
  return sorted;
}

/** Names that one sentence holds; of more only their number is told. */
const mostNamed = 8;

/** Names for a sentence: "a", "a and b", "a, b and c", "a, b, … and 5 more". */
export function listed(plugins: readonly PluginFacts[]): string {
  const names = plugins.slice(0, mostNamed).map(({ name }) => name);
  if (plugins.length > mostNamed) names.push(`${plugins.length - mostNamed} more`);
  const last = names.pop() ?? "";
  return names.length === 0 ? last : `${names.join(", ")} and ${last}`;
}
