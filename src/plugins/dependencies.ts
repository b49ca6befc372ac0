/** Who must be ready before whom. */

/** What the graph needs to know of a plugin. */
export interface GraphNode {
  name: string;
  version: string;
  requires: readonly { name: string; range: string }[];
}

export interface Dependencies {
  /** Names, each after everything it requires; ties by name. Plugins with an error are left out. */
  order: string[];
  /** Why a plugin can never start, one line each. */
  errors: Map<string, string>;
}

/** The chain `a -> b -> a` that leads from `start` back to itself; null when none does. */
function cycleFrom(start: string, nodes: ReadonlyMap<string, GraphNode>): string[] | null {
  const seen = new Set<string>();
  const walk = (name: string, chain: string[]): string[] | null => {
    for (const { name: next } of nodes.get(name)?.requires ?? []) {
      if (next === start) return [...chain, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = walk(next, [...chain, next]);
      if (found) return found;
    }
    return null;
  };
  return walk(start, [start]);
}

function ownError(node: GraphNode, nodes: ReadonlyMap<string, GraphNode>): string | null {
  for (const { name, range } of node.requires) {
    const required = nodes.get(name);
    if (!required) return `requires ${name}, which was not found; install it or remove it from requires`;
    if (!Bun.semver.satisfies(required.version, range))
      return `requires ${name}@${range}, but ${name} is ${required.version}`;
  }
  const cycle = cycleFrom(node.name, nodes);
  return cycle ? `requires itself: ${cycle.join(" -> ")}; remove one of these` : null;
}

/** Sorts plugins by what they require. A plugin whose requirement is in error is in error itself. */
export function sortDependencies(plugins: readonly GraphNode[]): Dependencies {
  const nodes = new Map(plugins.map((node) => [node.name, node]));
  const errors = new Map<string, string>();
  for (const node of plugins) {
    const error = ownError(node, nodes);
    if (error) errors.set(node.name, error);
  }
  const order: string[] = [];
  const placed = new Set<string>();
  const waiting = plugins
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .filter(({ name }) => !errors.has(name));
  for (let progress = true; progress; ) {
    progress = false;
    for (const node of waiting) {
      if (placed.has(node.name) || !node.requires.every(({ name }) => placed.has(name))) continue;
      placed.add(node.name);
      order.push(node.name);
      progress = true;
    }
  }
  for (const { name, requires } of waiting) {
    if (placed.has(name)) continue;
    const broken = requires.find((required) => !placed.has(required.name))?.name;
    errors.set(name, `requires ${broken}, which cannot start`);
  }
  return { order, errors };
}
