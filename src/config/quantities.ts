/** The fields that many settings are made of: bytes, times, shares, counts, names. */

import * as z from "zod";
import { parseBytes, parseDurationMs, parseRatio } from "./units.ts";

/** A zod string that a unit parser turns into a number; the parser's reason becomes the issue. */
function unit(
  parse: (text: string) => number | string,
  pattern: string,
  min = 0,
  max = Infinity,
  range = "",
) {
  return z
    .string({ error: `expected a text with a unit, such as ${pattern}` })
    .meta({ examples: [pattern] })
    .transform((text, context) => {
      const value = parse(text);
      if (typeof value === "number" && value >= min && value <= max) return value;
      context.issues.push({
        code: "custom",
        input: text,
        message: typeof value === "string" ? value : `expected ${range}`,
      });
      return z.NEVER;
    });
}

/** "512MiB" → bytes, at least `min`. */
export const bytes = (min = 1) => unit(parseBytes, "512MiB", min, Number.MAX_SAFE_INTEGER, "more than 0B");

/** "30s" → milliseconds within `min`..`max`, which are spelled in `range`. */
export const duration = (min = 1, max = Infinity, range = "more than 0s") =>
  unit(parseDurationMs, "30s", min, max, range);

/** "80%" → 0.8. */
export const ratio = () => unit(parseRatio, "80%", 0.001, 1, "more than 0%, at most 100%");

/** A whole number within `min`..`max`. */
export const count = (min: number, max: number) => {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z.number({ error: expected }).int({ error: expected }).min(min, expected).max(max, expected);
};

/** [a-z][a-z0-9-]*, at most 64 characters: safe as a metric label, a file name and part of a URL. */
export const pluginName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,63}$/,
    "expected a name of a-z, 0-9 and -, starting with a letter, at most 64 long",
  );
