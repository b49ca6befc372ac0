/**
 * How a receiver knows that an event is ours, and is no old one sent again. The header is
 *
 *   Conductor-Signature: t=1767225600,v1=5257a869e7…
 *
 * `t` is when this attempt was made, in seconds since 1970; `v1` the HMAC-SHA256, in hex, with the shared secret as key,
 * over the text `t`, a full stop and the body as it was received. The receiver computes the same, compares in constant time,
 * and refuses what is older than a few minutes.
 */

import { createHmac } from "node:crypto";

/** The value of the header for one attempt. */
export function signature(secret: string, atMs: number, body: string): string {
  const seconds = Math.floor(atMs / 1_000);
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}
