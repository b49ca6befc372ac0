/** The degradation order, and what it never takes. Pure. */

import { withRequirements } from "./dependents.ts";
import type { PluginFacts } from "./situation.ts";

/**
 * The plugins in the order in which they are shed: by priority, then those that the policy does not name, by name, then
 * the policy's. The last one of the policy's order is kept last even when it is absent now.
 */
export function sheddingOrder(plugins: readonly PluginFacts[], order: readonly string[]): PluginFacts[] {
  const place = new Map(order.map((name, index) => [name, index]));
  const rank = ({ name }: PluginFacts) => place.get(name) ?? -1;
  return plugins.toSorted(
    (a, b) => (a.priority ?? 0) - (b.priority ?? 0) || rank(a) - rank(b) || (a.name < b.name ? -1 : 1),
  );
}

/**
 * What is never shed: the last of `order`, which is first here, the protected, and everything that these require.
 */
export function neverShed(order: readonly PluginFacts[]): ReadonlySet<PluginFacts> {
  const last = order.at(-1);
  if (!last) return new Set();
  const kept = withRequirements(last, order);
  for (const plugin of order) {
    if (!plugin.protect) continue;
    kept.add(plugin);
    // Most require nothing, and this is asked with every reading.
    if (plugin.requires?.length) for (const each of withRequirements(plugin, order)) kept.add(each);
  }
  return kept;
}

/** Whether shedding it would free something. */
export const holdsMemory = (plugin: PluginFacts): boolean =>
  plugin.state === "running" || plugin.state === "starting";
