/**
 * Discord's request signature: Ed25519 over the timestamp's text followed by the raw body.
 * https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint
 */

import { createPublicKey, type KeyObject, verify } from "node:crypto";

/** The fixed DER prefix of an Ed25519 public key (RFC 8410), which the 32 bytes of the key follow. */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

export interface Signed {
  /** 128 hex digits: header X-Signature-Ed25519. */
  signature: string;
  /** Seconds since the epoch, decimal: header X-Signature-Timestamp. */
  timestamp: string;
  /** The body exactly as it came. */
  body: string | Uint8Array;
}

/** The key of 64 hex digits. */
export function importPublicKey(hex: string): KeyObject {
  const der = Buffer.concat([spkiPrefix, Buffer.from(hex, "hex")]);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

/** Why the signature is refused, or null when it holds. A signature inside the tolerance can be used again. */
export function refusal(
  signed: Signed,
  key: KeyObject,
  toleranceSeconds: number,
  nowMs: number,
): string | null {
  if (!/^[0-9a-f]{128}$/i.test(signed.signature)) return "the signature is missing or not 128 hex digits";
  if (!/^\d{1,12}$/.test(signed.timestamp))
    return "the timestamp is missing or not in seconds since the epoch";
  const data = Buffer.concat([Buffer.from(signed.timestamp), Buffer.from(signed.body)]);
  if (!verify(null, data, key, Buffer.from(signed.signature, "hex")))
    return "the signature does not match the body";
  const ageSeconds = nowMs / 1000 - Number(signed.timestamp);
  if (Math.abs(ageSeconds) > toleranceSeconds)
    return `the timestamp is ${Math.round(Math.abs(ageSeconds))} s ${ageSeconds > 0 ? "old" : "ahead"}: at most ${toleranceSeconds} s is accepted`;
  return null;
}
