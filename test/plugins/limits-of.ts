/** The limits of a manifest as the schema fills them in, with some of them set. */

import type { ManifestLimits } from "../../src/plugins/limit-in-force.ts";

export const limitsOf = (some: Partial<ManifestLimits>): ManifestLimits => ({
  memoryBytes: null,
  cpuCores: null,
  processes: 512,
  openFiles: 4_096,
  concurrency: 16,
  queue: 256,
  logBytesPerSecond: 64 * 1_024,
  requestTimeoutMs: 5_000,
  ...some,
});
