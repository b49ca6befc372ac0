/**
 * How an answer in chunks flows from a plugin, in both runtimes:
 *
 *   conductor                              plugin
 *   handle_request {id} ────────────────▶
 *                       ◀──────────────── stream {id, chunk}      a notice, as often as there is credit
 *   credit {id, chunks, bytes} ─────────▶                         a notice: so much has been taken, go on
 *   cancel {id} ────────────────────────▶                         a notice: nobody wants the rest
 *                       ◀──────────────── result {streamed: n}    the call's ordinary answer ends it; or an error
 *
 * A stream begins with the credit below; a plugin sends its next chunk only while it has some of both. Bytes are those of
 * the whole message (`{"jsonrpc":…}`, as UTF-8). `streamed`, when given, is checked against what came.
 */

export interface Credit {
  chunks: number;
  bytes: number;
}

/** Chunks and bytes that may be under way before any is taken; the last chunk may exceed the bytes. */
export const initialCredit: Readonly<Credit> = { chunks: 16, bytes: 2 ** 20 };

/** Chunks and bytes of one stream that wait for a consumer: over that the plugin ignores its credit. */
export const mostWaitingChunks = 256;
export const mostWaitingBytes = 4 * 2 ** 20;

/** True when enough has been taken to tell the plugin: half of what it began with, so that it never has to stop. */
export const worthGranting = ({ chunks, bytes }: Credit): boolean =>
  chunks >= initialCredit.chunks / 2 || bytes >= initialCredit.bytes / 2;
