/** A decision as it is handed in, as it lies in its row, and as it is read again. */

import * as z from "zod";
import type { Json } from "../sdk/plugin.ts";

/** The policy of decisions on local models: they are made from other facts than those on plugins. */
export const modelPolicy = "ladder";

/**
 * What the audit keeps. `inputs` to `alternatives` are any data that JSON can hold; the scaler owns their shapes.
 * `plugins` are those that it concerns, for the search by plugin.
 */
export interface DecisionDraft {
  atMs: number;
  policy: string;
  rule: string;
  reason: string;
  inputs: unknown;
  forecast: unknown;
  plan: unknown;
  actions: unknown;
  alternatives: unknown;
  plugins: readonly string[];
}

/** The texts of one row of `decisions`. */
export interface DecisionRow {
  id: number;
  atMs: number;
  policy: string;
  rule: string;
  reason: string;
  inputs: string;
  forecast: string;
  plan: string;
  actions: string;
  alternatives: string;
  plugins: string;
  outcome: string | null;
  outcomeAtMs: number | null;
  /** Of its link in the chain; null while it waits for the disk, and in rows of before there was a chain. */
  hash: string | null;
}

/** One text may be this long; a longer one is replaced by `{truncated: true, characters}`. */
const mostCharacters = 65_536;
/** At most this many plugins are kept of one decision. */
const mostPlugins = 256;

/** Whatever JSON.parse yields is JSON: to walk it again with z.json() made a list of 50 take 24 ms. */
const jsonText = z.string().transform((text, context): Json => {
  try {
    return JSON.parse(text);
  } catch (error) {
    context.issues.push({ code: "custom", input: text, message: `is no JSON (${(error as Error).message})` });
    return z.NEVER;
  }
});

const recordSchema = z.object({
  id: z.int(),
  atMs: z.number(),
  policy: z.string(),
  rule: z.string(),
  reason: z.string(),
  inputs: jsonText,
  forecast: jsonText,
  plan: jsonText,
  actions: jsonText,
  alternatives: jsonText,
  plugins: jsonText.pipe(z.array(z.string())),
  outcome: jsonText.nullable(),
  outcomeAtMs: z.number().nullable(),
  hash: z.string().nullable(),
});

/** One decision as read. `outcome` is null, and `outcomeAtMs` too, until it is known. */
export type DecisionRecord = z.output<typeof recordSchema>;

/** The reason why a row could not be read; the other ones still can. */
export interface UnreadableDecision {
  id: number;
  problem: string;
}

/** `value` as bounded JSON text. What JSON cannot hold (a cycle, a bigint) is named instead of thrown into the loop. */
export function asJsonText(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    return JSON.stringify({ unserialisable: (error as Error).message.split("\n")[0] });
  }
  if (text === undefined) return "null";
  return text.length <= mostCharacters ? text : JSON.stringify({ truncated: true, characters: text.length });
}

/** Bounded, and as UTF-8 gives it back: half of a character that is cut in two would be read as another one. */
const plainText = (text: string): string => text.slice(0, mostCharacters).toWellFormed();

/** The row of a new decision. */
export function rowOf(id: number, draft: DecisionDraft): DecisionRow {
  return {
    id,
    atMs: draft.atMs,
    policy: plainText(draft.policy),
    rule: plainText(draft.rule),
    reason: plainText(draft.reason),
    inputs: asJsonText(draft.inputs),
    forecast: asJsonText(draft.forecast),
    plan: asJsonText(draft.plan),
    actions: asJsonText(draft.actions),
    alternatives: asJsonText(draft.alternatives),
    plugins: asJsonText([...new Set(draft.plugins)].slice(0, mostPlugins)),
    outcome: null,
    outcomeAtMs: null,
    hash: null,
  };
}

/** Checks a row; a string is the reason why it cannot be read. */
export function recordOf(row: DecisionRow): DecisionRecord | string {
  const checked = recordSchema.safeParse(row);
  if (checked.success) return checked.data;
  return checked.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; ");
}
