/** Dead letters for tests; also imported by the processes that they start. */

import type { DeadLetterDraft } from "../../src/storage/dead-letter-row.ts";

export const roomy = { maxCount: 10_000, maxBytes: 2 ** 26, maxAgeMs: 1e12 };

export const letterAt = (atMs: number, over: Partial<DeadLetterDraft> = {}): DeadLetterDraft => ({
  requestId: `r${atMs}`,
  platform: "voice",
  type: "say",
  payload: { text: "hello" },
  headers: { traceparent: "00-1-2-01" },
  idempotencyKey: null,
  idempotent: false,
  kind: "shed",
  reason: "voice is shed: memory is short",
  attempts: [{ atMs, plugin: "voice", outcome: "shed", error: "voice is shed", durationMs: 0.5 }],
  atMs,
  nextAtMs: atMs,
  expiresAtMs: atMs + 1_000_000,
  ...over,
});
