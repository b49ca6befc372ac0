/** Query parameters, checked. */

import type { Context } from "hono";
import * as z from "zod";
import { describeIssues } from "../config/issues.ts";
import { problem } from "./problem.ts";

/** A whole number in a query, within its limits. */
export const wholeNumber = (min: number, max: number) => {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z.coerce.number({ error: expected }).int({ error: expected }).min(min, expected).max(max, expected);
};

export type Checked<T> = { ok: true; value: T } | { ok: false; response: Response };

/** The query as `schema` reads it; unknown parameters are refused. */
export function checkedQuery<T>(context: Context, schema: z.ZodType<T>): Checked<T> {
  const raw = context.req.query();
  const parsed = schema.safeParse(raw);
  if (parsed.success) return { ok: true, value: parsed.data };
  const errors = describeIssues(parsed.error, schema, raw, "query");
  const response = problem(context, {
    status: 400,
    code: "query_invalid",
    title: "A query parameter is wrong",
    detail: errors.join("; "),
    more: { errors },
  });
  return { ok: false, response };
}
