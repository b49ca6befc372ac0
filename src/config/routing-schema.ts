/** `routing.rules` of `conductor.yaml`: which platform a request goes to, and who answers when that one does not. */

import * as z from "zod";
import { ConditionReader } from "./route-condition.ts";
import type { Balance, Condition, RouteRule } from "./route-rule.ts";
import { parseSubject } from "./route-subject.ts";

/** Rules of one file: each is looked at until one matches. */
const mostRules = 1_000;
/** Regexes of all rules together: each may look at 4,096 characters of each request. */
const mostRegexes = 64;
/** As many as the router tries for one request. */
const mostFallbacks = 3;

const platformName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,63}$/,
    "expected a platform of a-z, 0-9 and -, starting with a letter, at most 64 long",
  );

const when = z
  .unknown()
  .meta({
    type: "object",
    description:
      "Conditions that must all hold, on platform, type, header.NAME, payload.FIELD: a value, a list of values, or equals, in, prefix, regex, exists; also all, any, not",
  })
  .transform((raw, context): Condition => {
    const reader = new ConditionReader();
    const condition = reader.read(raw);
    for (const { path, message } of reader.wrong)
      context.issues.push({ code: "custom", input: raw, path: [...path], message });
    return condition;
  })
  .prefault({});

const kinds = ["least-busy", "power-of-two", "round-robin"] as const;
const isKind = (text: string): text is (typeof kinds)[number] => (kinds as readonly string[]).includes(text);
const balanceForms = `expected ${kinds.join(", ")} or { hash: payload.FIELD }`;

const balance = z
  .union([z.enum(kinds), z.strictObject({ hash: z.string() })], { error: balanceForms })
  .transform((raw, context): Balance => {
    if (typeof raw === "string" && isKind(raw)) return { kind: raw };
    const subject = typeof raw === "object" ? parseSubject(raw.hash) : balanceForms;
    if (typeof subject !== "string") return { kind: "hash", by: subject };
    context.issues.push({ code: "custom", input: raw, path: ["hash"], message: subject });
    return z.NEVER;
  })
  .prefault("least-busy")
  .describe("Which of several processes of the plugin gets the request");

const rule = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/,
        "expected a name of letters, digits, blanks and ._-, at most 64 long",
      )
      .optional()
      .describe("Named in answers and explanations; default: rule and its number"),
    when,
    to: platformName.describe("Platform that matching requests go to"),
    fallback: z
      .array(platformName)
      .max(mostFallbacks)
      .optional()
      .describe("Platforms that answer in its place, in this order; default: as without rules; [] for none"),
    idempotent: z.boolean().default(false).describe("A request may be sent twice without harm"),
    balance,
  })
  .superRefine(({ to, fallback = [] }, context) => {
    // What a rule sends on is not looked at by rules again, so only the chain itself can come back to where it was.
    const chain = [to, ...fallback];
    const again = chain.findIndex((platform, index) => chain.indexOf(platform) < index);
    if (again < 0) return;
    const message = `the chain ${[...chain.slice(0, again + 1)].join(" -> ")} comes back to ${chain[again]}; expected each platform once`;
    context.addIssue({ code: "custom", path: ["fallback", again - 1], message });
  });

const regexesIn = (condition: Condition): number => {
  if (condition.kind === "test") return condition.test.op === "regex" ? 1 : 0;
  if (condition.kind === "not") return regexesIn(condition.of);
  return condition.of.reduce((sum, each) => sum + regexesIn(each), 0);
};

/** The rules of the section `routing`. */
export const routingRules = z
  .array(rule)
  .max(mostRules)
  .transform((written): RouteRule[] =>
    written.map(({ name, fallback, ...rest }, index) => ({
      ...rest,
      name: name ?? `rule ${index + 1}`,
      fallback: fallback ?? null,
    })),
  )
  .superRefine((named, context) => {
    const seen = new Set<string>();
    for (const [index, { name }] of named.entries()) {
      if (seen.has(name))
        context.addIssue({
          code: "custom",
          path: [index, "name"],
          message: "expected another name: it stands twice",
          params: { written: name },
        });
      seen.add(name);
    }
    const regexes = named.reduce((sum, each) => sum + regexesIn(each.when), 0);
    if (regexes > mostRegexes)
      context.addIssue({
        code: "custom",
        message: `expected at most ${mostRegexes} regexes in all rules together`,
        params: { written: regexes },
      });
  })
  .prefault([])
  .describe("The first that matches decides; without one a request goes to the plugin of its platform");
