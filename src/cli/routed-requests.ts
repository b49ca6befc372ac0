/** Requests from a file, and where the routing rules send each, in words. */

import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import * as z from "zod";
import { describeIssues } from "../config/issues.ts";
import { type Balance, formatSubject, type RouteRule } from "../config/route-rule.ts";
import { mostLevels, nestedWithin } from "../http/nesting.ts";
import type { RuledRequest } from "../routing/rule-subject.ts";
import { type RuleTrace, traceRules } from "../routing/rule-trace.ts";
import { compileRules, type RouteRules } from "../routing/rules.ts";
import { escaped, shownValue } from "../routing/shown-value.ts";
import type { Json } from "../sdk/plugin.ts";
import { CliError } from "./command.ts";

const mostBytes = 16 * 2 ** 20;
const mostRequests = 1_000;
const mostProblemChars = 300;

const request = z.strictObject({
  platform: z.string().min(1).max(64),
  type: z.string().min(1).max(128).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  payload: z.unknown().refine((value) => value !== undefined, "expected any JSON"),
  deadlineMs: z.number().optional(),
  stream: z.boolean().optional(),
});
const requests = z.array(request).max(mostRequests);

/** The requests of a file, or of stdin for "-". Throws CliError with what is wrong and where. */
export async function readRequests(file: string, folder: string): Promise<RuledRequest[]> {
  const name = file === "-" ? "stdin" : file;
  const raw = parsed(await textOf(file, folder), name);
  // A list by itself and one in which a mistake is named by its place are read the same way.
  const list = Array.isArray(raw) ? raw : [raw];
  const checked = requests.safeParse(list);
  if (!checked.success) {
    const problems = describeIssues(checked.error, requests, list, name);
    throw new CliError(problems.map(printable).join("\n"));
  }
  return checked.data.map(({ platform, type, headers, payload }) => ({
    platform,
    payload: payload as Json,
    ...(type === undefined ? {} : { type }),
    ...(headers === undefined ? {} : { headers: lowerCased(headers) }),
  }));
}

const lowerCased = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

/** Read no further than it may be long: a pipe has no size, nor has a device. */
async function textOf(file: string, folder: string): Promise<string> {
  const name = file === "-" ? "stdin" : file;
  const source = file === "-" ? Bun.stdin.stream() : createReadStream(resolve(folder, file));
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > mostBytes) break;
      chunks.push(chunk);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "no such file" : `cannot be read (${code ?? error})`;
    throw new CliError(`${name}: ${why}; expected a file with a request, or a list of them, as JSON`);
  }
  if (bytes > mostBytes) throw new CliError(`${name}: expected at most ${mostBytes / 2 ** 20} MiB`);
  return Buffer.concat(chunks).toString("utf8");
}

/** Names of keys, and what the parser quotes, come from the file. */
const printable = (text: string): string => escaped(text.slice(0, mostProblemChars));

function parsed(text: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    // The list around the requests and each request are two levels more than a payload has.
    if (nestedWithin(value, mostLevels + 2)) return value;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new CliError(`${name}: is not JSON: ${printable(said)}`);
  }
  throw new CliError(`${name}: expected at most ${mostLevels + 2} levels of lists and objects`);
}

/** Where a request goes; the rest of it null when no rule matches. */
export interface RequestRoute {
  platform: string;
  type: string;
  rule: string | null;
  to: string;
  fallback: readonly string[] | null;
  idempotent: boolean;
  balance: string;
  steps: RuleTrace[];
}

/** "hash payload.userId" */
export const formatBalance = (balance: Balance): string =>
  balance.kind === "hash" ? `hash ${formatSubject(balance.by)}` : balance.kind;

/** `compiled` are the same rules. */
function routeOf(rules: readonly RouteRule[], compiled: RouteRules, asked: RuledRequest): RequestRoute {
  const decision = compiled.decide(asked);
  const rule = rules.find(({ name }) => name === decision?.rule);
  return {
    platform: asked.platform,
    type: asked.type ?? "message",
    rule: decision?.rule ?? null,
    to: decision?.to ?? asked.platform,
    fallback: decision?.fallback ?? null,
    idempotent: decision?.idempotent ?? false,
    balance: rule ? formatBalance(rule.balance) : "least-busy",
    steps: traceRules(rules, asked),
  };
}

export function routesOf(rules: readonly RouteRule[], asked: readonly RuledRequest[]): RequestRoute[] {
  const compiled = compileRules(rules);
  return asked.map((each) => routeOf(rules, compiled, each));
}

/** A heading, where it goes, then a line or more for each rule that was looked at. */
export function routeText(route: RequestRoute): string {
  const { platform, type, rule, to, fallback, idempotent, balance, steps } = route;
  const chain = fallback === null ? "default" : fallback.join(", ") || "none";
  const goes =
    rule === null
      ? `no rule matches: it goes to the plugin of platform ${shownValue(to)}`
      : `rule "${rule}": to ${to}, fallback ${chain}, balance ${balance}${idempotent ? ", idempotent" : ""}`;
  const told = steps.flatMap(({ rule: name, matched, because }) =>
    because.map((line, index) => {
      const head = index === 0 ? `${matched ? "yes" : "no "}  ${name}: ` : " ".repeat(name.length + 7);
      return `  ${head}${line}`;
    }),
  );
  return [`platform ${shownValue(platform)}, type ${shownValue(type)}`, `  ${goes}`, ...told].join("\n");
}
