/** /proc/meminfo: what the host has, and what is left of it. */

import { inKib, lineKey, lineNumber } from "./counters.ts";

export interface Meminfo {
  totalBytes: number;
  /** The kernel's estimate of what could be used without swapping; never more than the total. */
  availableBytes: number;
  /** Null when the file does not tell. */
  swapTotalBytes: number | null;
  swapFreeBytes: number | null;
}

const keys = {
  total: lineKey("MemTotal:"),
  available: lineKey("MemAvailable:"),
  swapTotal: lineKey("SwapTotal:"),
  swapFree: lineKey("SwapFree:"),
};

function bytesOf(text: Buffer, length: number, key: Buffer): number | null {
  const kib = lineNumber(text, length, key, inKib);
  return kib === null ? null : kib * 1024;
}

/** The first `length` bytes of the file. Null without a total above zero or without MemAvailable (before Linux 3.14). */
export function parseMeminfo(text: Buffer, length: number): Meminfo | null {
  const totalBytes = bytesOf(text, length, keys.total);
  const availableBytes = bytesOf(text, length, keys.available);
  if (totalBytes === null || totalBytes === 0 || availableBytes === null) return null;
  return {
    totalBytes,
    availableBytes: Math.min(availableBytes, totalBytes),
    swapTotalBytes: bytesOf(text, length, keys.swapTotal),
    swapFreeBytes: bytesOf(text, length, keys.swapFree),
  };
}
