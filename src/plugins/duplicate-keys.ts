/** Signs of YAML that the fast parser takes without a word and the strict one refuses. */

/**
 * True when a text may hold a repeated key, several documents, or aliases. It may be wrong in that direction only for
 * repeated keys inside long flow mappings; what it suspects, the strict parser decides.
 */
export function needsStrictParser(text: string): boolean {
  if (/[&*]|^(---|\.\.\.)/m.test(text)) return true;
  const open: { indent: number; keys: Set<string> }[] = [];
  for (const line of text.split("\n")) {
    if (repeatsInFlow(line)) return true;
    const match = /^( *)((?:- +)*)("[^"]*"|'[^']*'|[^\s#:"'{[-][^:#]*?)\s*:(?:\s|$)/.exec(line);
    if (!match) continue;
    const indent = (match[1]?.length ?? 0) + (match[2]?.length ?? 0);
    while (open.length > 0 && (open.at(-1)?.indent ?? 0) > indent) open.pop();
    // A dash begins a new mapping at the same indent.
    if (match[2] && open.at(-1)?.indent === indent) open.pop();
    if (open.at(-1)?.indent !== indent) open.push({ indent, keys: new Set() });
    const key = (match[3] ?? "").replace(/^["']|["']$/g, "");
    const keys = open.at(-1)?.keys;
    if (keys?.has(key)) return true;
    keys?.add(key);
  }
  return false;
}

function repeatsInFlow(line: string): boolean {
  if (!line.includes("{")) return false;
  const keys = [...line.matchAll(/[{,]\s*["']?([\w-]+)["']?\s*:/g)].map((match) => match[1]);
  return new Set(keys).size !== keys.length;
}
