/** The user that a plugin gets for itself, where conductor is root: a number, with no entry in /etc/passwd. */

/** Above every user that a system hands out by itself, below Debian's subordinate users (from 100000). */
export const firstPluginUser = 70_000;
const count = 20_000;
export const lastPluginUser = firstPluginUser + count - 1;

/** FNV-1a over the UTF-16 units, 32 bits. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return sum;
}

/**
 * The uid (and gid) of `name` among all plugins: 70000 to 89999, the same as long as the set of names is. Two that
 * hash alike get neighbours, by the order of their names; another plugin that comes or goes seldom moves anyone.
 */
export function pluginUser(name: string, allNames: readonly string[]): number {
  const names = [...new Set([...allNames, name])].sort();
  if (names.length > count)
    throw new RangeError(`${names.length} plugins: at most ${count} have a user each`);
  const taken = new Set<number>();
  for (const each of names) {
    let slot = hash(each) % count;
    while (taken.has(slot)) slot = (slot + 1) % count;
    taken.add(slot);
    if (each === name) return firstPluginUser + slot;
  }
  throw new Error(`${name} is not among the names`);
}
