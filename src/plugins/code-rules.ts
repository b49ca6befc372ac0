/** What a line of a plugin's code may show: a use of something that its manifest does not ask for. */

import type { Manifest } from "./manifest.ts";

/** What the plugin asked for, as far as code can be held to it. */
export type Asked = Pick<Manifest["permissions"], "env" | "net" | "write">;

/** `note`: what no permission covers, and a person may want to know. */
export interface Finding {
  kind: "warning" | "note";
  message: string;
}

const warning = (message: string): Finding => ({ kind: "warning", message });
const note = (message: string): Finding => ({ kind: "note", message });

/** Modules that reach the network. */
const netModules = new Set(
  "net http https http2 tls dgram dns undici ws axios got node-fetch socket.io-client".split(" "),
);
const ffiModules = new Set(["bun:ffi", "node:ffi", "ffi-napi", "koffi"]);

/** Variables that every plugin is given, or that the runtime sets. */
const givenAnyway = new Set(
  "PATH HOME LANG LC_ALL TZ TMPDIR NODE_ENV CONDUCTOR_PLUGIN CONDUCTOR_RUN".split(" "),
);

const noNet = "and permissions.net is false";

/** What an import means; null: nothing. */
export function importFinding(specifier: string, asked: Asked): Finding | null {
  const name = specifier.replace(/^node:/, "");
  const root = name.startsWith("@") ? name : (name.split("/")[0] ?? name);
  if (netModules.has(root) && !asked.net) return warning(`imports ${specifier}, ${noNet}`);
  if (root === "child_process")
    return note(`imports ${specifier}: it starts programs, which have the same rights`);
  if (root === "cluster" || root === "worker_threads")
    return note(`imports ${specifier}: it starts further threads or processes`);
  if (ffiModules.has(specifier))
    return note(`imports ${specifier}: native code, which no check of JavaScript sees`);
  if (specifier.endsWith(".node"))
    return note(`imports ${specifier}: a native addon, which no check of JavaScript sees`);
  return null;
}

type Rule = { pattern: RegExp; means(match: RegExpMatchArray, asked: Asked): Finding | null };

/** A match of the pattern's first group, named in `text`, as long as `allowed` does not hold. */
const unless = (
  pattern: RegExp,
  allowed: (asked: Asked) => boolean,
  text: (name: string) => string,
): Rule => ({
  pattern,
  means: (match, asked) => (allowed(asked) ? null : warning(text(named(match)))),
});

/** The same for what no permission covers. */
const always = (pattern: RegExp, text: (name: string) => string): Rule => ({
  pattern,
  means: (match) => note(text(named(match))),
});

const named = (match: RegExpMatchArray): string => (match[1] ?? "").replaceAll(/\s/g, "");

const netAllowed = ({ net }: Asked) => net;
const writeAllowed = ({ write }: Asked) => write.length > 0;
const readsEnv = (name: string, asked: Asked): Finding | null =>
  asked.env.includes(name) || givenAnyway.has(name)
    ? null
    : warning(`reads the variable ${name}, which permissions.env does not name: it is not set`);
const envRule = (pattern: RegExp): Rule => ({
  pattern,
  means: (match, asked) => readsEnv(match[1] ?? "", asked),
});

const scriptRules: readonly Rule[] = [
  unless(/(?<![\w$.#])(fetch)\s*\(/g, netAllowed, (name) => `calls ${name}, ${noNet}`),
  unless(
    /(?<![\w$.])new\s+(WebSocket|EventSource|XMLHttpRequest)\b/g,
    netAllowed,
    (name) => `uses ${name}, ${noNet}`,
  ),
  unless(
    /\b(Bun\s*\.\s*(?:serve|connect|listen|udpSocket|sql|redis))\b/g,
    netAllowed,
    (name) => `uses ${name}, ${noNet}`,
  ),
  always(
    /\b(Bun\s*\.\s*(?:spawn|spawnSync|\$))(?!\w)/g,
    (name) => `uses ${name}: it starts programs, which have the same rights`,
  ),
  always(
    /\b(process\s*\.\s*dlopen)\b/g,
    (name) => `uses ${name}: native code, which no check of JavaScript sees`,
  ),
  unless(
    /\b(Bun\s*\.\s*write|(?:writeFile|appendFile|createWriteStream|mkdir|mkdtemp|rmdir|unlink|copyFile|rename|truncate|symlink)(?:Sync)?)\s*\(/g,
    writeAllowed,
    (name) => `calls ${name}, and permissions.write names no folder`,
  ),
  envRule(/\b(?:process|Bun)\s*\.\s*env\s*(?:\?\.|\.)\s*([A-Za-z_]\w*)/g),
  envRule(/\b(?:process|Bun)\s*\.\s*env\s*(?:\?\.)?\[\s*["'`]([A-Za-z_]\w*)["'`]\s*\]/g),
  always(
    /\b((?:process|Bun)\s*\.\s*env)\s*(?:\?\.)?\[\s*[^"'`\s]/g,
    (name) => `reads ${name} by a name that it makes up as it runs`,
  ),
];

const pythonRules: readonly Rule[] = [
  unless(
    /^\s*(?:import|from)\s+(socket|urllib|urllib3|requests|http|httpx|aiohttp|websockets|smtplib|ftplib|asyncio\.streams)\b/g,
    netAllowed,
    (name) => `imports ${name}, ${noNet}`,
  ),
  always(
    /^\s*(?:import|from)\s+(subprocess|multiprocessing)\b/g,
    (name) => `imports ${name}: it starts programs, which have the same rights`,
  ),
  always(
    /\b(os\.(?:system|popen|exec\w*|spawn\w*))\s*\(/g,
    (name) => `calls ${name}: it starts programs, which have the same rights`,
  ),
  always(
    /^\s*(?:import|from)\s+(ctypes|cffi)\b/g,
    (name) => `imports ${name}: native code, which no check of Python sees`,
  ),
  envRule(/\bos\.environ\[\s*["']([A-Za-z_]\w*)["']\s*\]/g),
  envRule(/\bos\.(?:environ\.get|getenv)\(\s*["']([A-Za-z_]\w*)["']/g),
];

const shellRules: readonly Rule[] = [
  unless(
    /(?:^|[\s;&|(`])(curl|wget|nc|ncat|ssh|scp|rsync|telnet|ftp)(?=\s|$)/g,
    netAllowed,
    (name) => `runs ${name}, ${noNet}`,
  ),
];

export type Language = "script" | "python" | "shell";

const rules: Readonly<Record<Language, readonly Rule[]>> = {
  script: scriptRules,
  python: pythonRules,
  shell: shellRules,
};

/** What one line of code, without comments, shows; each thing once. */
export function lineFindings(line: string, language: Language, asked: Asked): Finding[] {
  const found = new Map<string, Finding>();
  for (const { pattern, means } of rules[language])
    for (const match of line.matchAll(pattern)) {
      const finding = means(match, asked);
      if (finding !== null) found.set(finding.message, finding);
    }
  return [...found.values()];
}
