/**
 * Reads a plugin's code for what its manifest does not ask for, without running it. It finds mistakes, not malice: who
 * wants to hide a call can. What holds such a plugin back is enforced when it runs.
 */

import { join } from "node:path";
import { type Asked, type Finding, importFinding, type Language, lineFindings } from "./code-rules.ts";
import { listContent } from "./content-files.ts";
import { loaderOf, withoutShebang } from "./entry-syntax.ts";
import type { Manifest } from "./manifest.ts";
import { readBounded } from "./manifest-text.ts";

/** Larger files are not read, further ones neither, and no more is told of one plugin. */
const mostFileBytes = 2 ** 20;
const mostFiles = 500;
const mostFindings = 100;

export interface CodeFinding extends Finding {
  /** From the plugin's folder. */
  file: string;
  /** 1-based. */
  line: number;
}

function languageOf(path: string): Language | null {
  if (/\.d\.[cm]?ts$/.test(path)) return null;
  if (loaderOf(path)) return "script";
  if (path.endsWith(".py")) return "python";
  return /\.(sh|bash)$/.test(path) ? "shell" : null;
}

/** What the plugin's own files show, by file and line; packages in `node_modules` and tests are left out. */
export function scanCode(folder: string, { permissions }: Manifest): CodeFinding[] {
  const listed = listContent(folder, { exclude: permissions.write, nodeModules: false });
  if (!listed.ok)
    return [{ file: ".", line: 1, kind: "warning", message: `is not looked into: ${listed.message}` }];
  const findings: CodeFinding[] = [];
  const files = listed.files.flatMap(({ path, kind }) => {
    const language = languageOf(path);
    return kind === "file" && language !== null && !/(^|\/)tests?\//.test(path) ? [{ path, language }] : [];
  });
  for (const { path, language } of files.slice(0, mostFiles)) {
    const read = readBounded(join(folder, path), mostFileBytes);
    if ("problem" in read) continue;
    findings.push(...textFindings(new TextDecoder().decode(read.bytes), path, language, permissions));
    if (findings.length >= mostFindings) break;
  }
  return findings.slice(0, mostFindings);
}

function textFindings(text: string, file: string, language: Language, asked: Asked): CodeFinding[] {
  const lines = (language === "script" ? withoutComments(text) : text).split("\n");
  const found = lines.flatMap((line, index) => {
    // Comments of Python and shells; in a shell "#" also stands inside words.
    const code = language === "script" ? line : line.replace(/(^|\s)#.*$/, "");
    return lineFindings(code, language, asked).map((finding) => ({ ...finding, file, line: index + 1 }));
  });
  if (language !== "script") return found;
  for (const specifier of importsOf(text, file)) {
    const finding = importFinding(specifier, asked);
    if (finding === null) continue;
    const index = lines.findIndex((line) => /["'`]/.test(line) && line.includes(specifier));
    found.push({ ...finding, file, line: Math.max(0, index) + 1 });
  }
  return found.sort((a, b) => a.line - b.line);
}

function importsOf(text: string, file: string): string[] {
  try {
    const loader = loaderOf(file) ?? "ts";
    const imports = new Bun.Transpiler({ loader }).scanImports(withoutShebang(text));
    return [...new Set(imports.map(({ path }) => path))];
  } catch {
    return []; // Its syntax is wrong, which is told elsewhere.
  }
}

/**
 * The same text with spaces for comments, so that lines stay lines. Texts in quotes are left as they are. What is not
 * closed ends with the line or the text: so each character is looked at once.
 */
export function withoutComments(text: string): string {
  const pieces =
    /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`(?:\\[\s\S]|[^`\\])*`?/g;
  return text.replaceAll(pieces, (piece) =>
    piece.startsWith("/") ? piece.replaceAll(/[^\n]/g, " ") : piece,
  );
}
