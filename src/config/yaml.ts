/** YAML text to plain values, with the line of every key and every syntax error at once. */

import { isMap, isPair, isScalar, LineCounter, parseDocument } from "yaml";
import type { KeyPath, LineOf } from "./issues.ts";

export type Yaml = { ok: true; value: unknown; lineOf: LineOf } | { ok: false; errors: string[] };

/** Most characters of a YAML text; a larger one is refused before it is read. */
export const largestYamlChars = 1024 * 1024;

/** Parses one YAML document. Duplicate keys, several documents and runaway aliases are errors. */
export function parseYaml(text: string, file: string): Yaml {
  if (text.length > largestYamlChars)
    return {
      ok: false,
      errors: [`${file}: ${text.length} characters: expected at most ${largestYamlChars}`],
    };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  // What the parser says when its own recursion ends.
  if (document.errors.some(({ message }) => message.startsWith("Maximum call stack")))
    return { ok: false, errors: [`${file}: nested too deeply; no setting needs more than a few levels`] };
  if (document.errors.length > 0) {
    const errors = document.errors.slice(0, 20).map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return `${file}:${line}:${col}: ${error.message.replaceAll(/\s+/g, " ")}`;
    });
    return { ok: false, errors };
  }
  const lineOf = (path: KeyPath): number | null => {
    for (let length = path.length; length > 0; length--) {
      const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
      const key = path[length - 1];
      const pair = isMap(parent)
        ? parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === key)
        : undefined;
      const node = pair && isScalar(pair.key) ? pair.key : document.getIn(path.slice(0, length), true);
      const range = isScalar(node) || isMap(node) ? node.range : undefined;
      if (range) return lines.linePos(range[0]).line;
    }
    return null;
  };
  try {
    return { ok: true, value: document.toJS({ maxAliasCount: 100 }), lineOf };
  } catch (error) {
    return { ok: false, errors: [`${file}: ${error instanceof Error ? error.message : String(error)}`] };
  }
}
