/** What of a request's headers is taken: the idempotency key, and those that are kept with a dead letter. */

import * as z from "zod";

const mostKeyCharacters = 200;
const keyExpected = `expected 1 to ${mostKeyCharacters} visible ASCII characters`;

/** A key that a client chose: safe to show and to keep. */
export const idempotencyKey = z
  .string()
  .regex(new RegExp(`^[\\x21-\\x7e]{1,${mostKeyCharacters}}$`), keyExpected);

/** Those that say whence a request comes and which trace it belongs to. None that authorises, none of a browser's. */
const kept = ["traceparent", "tracestate", "x-request-id", "x-correlation-id", "user-agent"];
const mostValueCharacters = 512;

/** The headers that are kept, by their names in lower case, each cut at 512 characters. */
export function keptHeaders(headers: Headers): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of kept) {
    const value = headers.get(name);
    if (value !== null) found[name] = value.slice(0, mostValueCharacters).toWellFormed();
  }
  return found;
}
