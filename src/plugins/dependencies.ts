/** Who must be ready before whom. */

import { compareText } from "./compare-text.ts";
import { cyclicGroups, shortestCycle } from "./dependency-cycles.ts";

/** What the graph needs to know of a plugin. */
export interface GraphNode {
  name: string;
  version: string;
  requires: readonly { name: string; range: string }[];
}

export interface Dependencies {
  /** Names, each after everything it requires; those that could start together by name. Those with an error are left out. */
  order: string[];
  /** Why a plugin can never start, one line each, with the chain of who requires whom. */
  errors: Map<string, string>;
}

/** Most names of a chain that are written out. */
const mostShown = 12;

/** In a larger group each names the way round of one of them: to find its own costs each a walk through the group. */
const mostOwnCycles = 100;

type Nodes = ReadonlyMap<string, GraphNode>;

/** Why a plugin cannot start: what it has itself, or the requirement that stands in its way. */
interface Cause {
  /** The next in the chain; null: it is this plugin's own. */
  via: string | null;
  /** How the chain ends after this plugin, as "-> none, which was not found"; "" where `via` goes on. */
  end: string;
  /** In full for the plugin itself. */
  own: string;
}

/** Sorts plugins by what they require. `invalid` are found too, but broken; a plugin that needs one cannot start. */
export function sortDependencies(
  plugins: readonly GraphNode[],
  invalid: ReadonlySet<string> = new Set(),
): Dependencies {
  const nodes = new Map(plugins.map((node) => [node.name, node]));
  const causes = new Map<string, Cause>();
  for (const node of plugins) {
    const cause = ownCause(node, nodes, invalid);
    if (cause) causes.set(node.name, cause);
  }
  noteCycles(nodes, causes);
  const dependants = dependantsOf(plugins);
  spread(causes, dependants);
  const errors = new Map<string, string>();
  for (const { name } of plugins) {
    const cause = causes.get(name);
    if (cause) errors.set(name, describe(name, cause, causes));
  }
  return { order: inLayers(plugins, causes, dependants), errors };
}

function ownCause(node: GraphNode, nodes: Nodes, invalid: ReadonlySet<string>): Cause | null {
  for (const { name, range } of node.requires) {
    const required = nodes.get(name);
    if (!required && invalid.has(name))
      return { via: null, end: `${name}, which is invalid`, own: `requires ${name}, which is invalid` };
    if (!required) {
      const own = `requires ${name}, which was not found; install it or remove it from requires`;
      return { via: null, end: `${name}, which was not found`, own };
    }
    if (!Bun.semver.satisfies(required.version, range)) {
      const end = `${name}@${range}, but ${name} is ${required.version}`;
      return { via: null, end, own: `requires ${end}` };
    }
  }
  return null;
}

const shownChain = (chain: readonly string[]): string =>
  chain.length <= mostShown
    ? chain.join(" -> ")
    : [...chain.slice(0, 5), `… ${chain.length - 10} more …`, ...chain.slice(-5)].join(" -> ");

function noteCycles(nodes: Nodes, causes: Map<string, Cause>): void {
  const edges = new Map([...nodes].map(([name, { requires }]) => [name, requires.map((each) => each.name)]));
  for (const group of cyclicGroups(edges)) {
    const members = new Set(group);
    let shared: string | null = null;
    for (const name of group) {
      if (group.length <= mostOwnCycles || shared === null)
        shared = shownChain(shortestCycle(name, members, edges));
      // What is missing besides is told once the cycle is gone; both would not fit into one chain.
      if (!causes.has(name))
        causes.set(name, {
          via: null,
          end: `${shared.split(" -> ").slice(1).join(" -> ")}, a cycle`,
          own: `requires itself: ${shared}; remove one of these`,
        });
    }
  }
}

function dependantsOf(plugins: readonly GraphNode[]): Map<string, string[]> {
  const dependants = new Map<string, string[]>();
  for (const { name, requires } of plugins)
    for (const required of new Set(requires.map((each) => each.name))) {
      const list = dependants.get(required);
      if (list) list.push(name);
      else dependants.set(required, [name]);
    }
  return dependants;
}

/** Whoever requires one that cannot start cannot either; the nearest mistake is the one that is told. */
function spread(causes: Map<string, Cause>, dependants: ReadonlyMap<string, string[]>): void {
  const queue = [...causes.keys()];
  for (const broken of queue)
    for (const name of dependants.get(broken) ?? []) {
      if (causes.has(name)) continue;
      causes.set(name, { via: broken, end: "", own: "" });
      queue.push(name);
    }
}

function describe(name: string, cause: Cause, causes: ReadonlyMap<string, Cause>): string {
  if (cause.via === null) return cause.own;
  const chain = [name];
  let at: Cause = cause;
  while (at.via !== null) {
    chain.push(at.via);
    const next = causes.get(at.via);
    if (!next) break;
    at = next;
    // The middle of a long chain helps nobody, and ten thousand of them would fill the memory.
    if (chain.length >= mostShown)
      return `requires ${cause.via}, which cannot start: ${chain.join(" -> ")} -> …`;
  }
  return `requires ${cause.via}, which cannot start: ${chain.join(" -> ")} -> ${at.end}`;
}

/** Layer by layer: first those that require nothing, then those that require only these. */
function inLayers(
  plugins: readonly GraphNode[],
  causes: ReadonlyMap<string, Cause>,
  dependants: ReadonlyMap<string, string[]>,
): string[] {
  const missing = new Map<string, number>();
  for (const { name, requires } of plugins)
    if (!causes.has(name)) missing.set(name, new Set(requires.map((each) => each.name)).size);
  const order: string[] = [];
  let layer = [...missing].filter(([, count]) => count === 0).map(([name]) => name);
  while (layer.length > 0) {
    layer.sort(compareText);
    order.push(...layer);
    const next: string[] = [];
    for (const placed of layer)
      for (const name of dependants.get(placed) ?? []) {
        const left = (missing.get(name) ?? 0) - 1;
        missing.set(name, left);
        if (left === 0) next.push(name);
      }
    layer = next;
  }
  return order;
}
