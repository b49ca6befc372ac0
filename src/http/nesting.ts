/** How deep JSON is nested: what reads or writes it recurses, and the stack ends before a body does. */

/** Levels of lists and objects that a body may have. Python's JSON module stops at 1,000, our own schemas at 5,000. */
export const mostLevels = 128;

/** Whether `value`, as JSON.parse yields it, has at most `levels` levels of lists and objects. */
export function nestedWithin(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  if (Array.isArray(value)) {
    for (const item of value)
      if (typeof item === "object" && item !== null && !nestedWithin(item, levels - 1)) return false;
    return true;
  }
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === "object" && item !== null && !nestedWithin(item, levels - 1)) return false;
  }
  return true;
}
