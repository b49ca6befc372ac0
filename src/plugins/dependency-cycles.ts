/** Plugins that require themselves by way of others, in time linear in plugins and requirements. */

/** The strongly connected groups of a graph that hold a cycle (Tarjan 1972), without recursion. */
export function cyclicGroups(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const onStack = new Set<string>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const enter = (name: string) => {
    index.set(name, index.size);
    low.set(name, index.size - 1);
    stack.push(name);
    onStack.add(name);
    return { name, next: 0 };
  };
  const lower = (name: string, to: number) => low.set(name, Math.min(low.get(name) ?? to, to));
  for (const start of edges.keys()) {
    if (index.has(start)) continue;
    const path = [enter(start)];
    for (let at = path.at(-1); at; at = path.at(-1)) {
      const target = edges.get(at.name)?.[at.next++];
      if (target === undefined) {
        path.pop();
        const parent = path.at(-1);
        if (parent) lower(parent.name, low.get(at.name) ?? 0);
        if (low.get(at.name) === index.get(at.name)) {
          const group = popGroup(stack, onStack, at.name);
          if (group.length > 1 || edges.get(at.name)?.includes(at.name)) groups.push(group);
        }
      } else if (!index.has(target)) path.push(enter(target));
      else if (onStack.has(target)) lower(at.name, index.get(target) ?? 0);
    }
  }
  return groups;
}

function popGroup(stack: string[], onStack: Set<string>, last: string): string[] {
  const group: string[] = [];
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    onStack.delete(name);
    group.push(name);
    if (name === last) break;
  }
  return group;
}

/** The shortest chain `a -> b -> a` from `start` back to itself inside its group. */
export function shortestCycle(
  start: string,
  group: ReadonlySet<string>,
  edges: ReadonlyMap<string, readonly string[]>,
): string[] {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const name of queue) {
    for (const next of edges.get(name) ?? []) {
      if (next === start) {
        const chain = [start];
        for (let at: string | undefined = name; at !== undefined; at = cameFrom.get(at)) chain.push(at);
        return chain.reverse();
      }
      if (!group.has(next) || cameFrom.has(next)) continue;
      cameFrom.set(next, name);
      queue.push(next);
    }
  }
  return [start];
}
