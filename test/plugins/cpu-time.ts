/** How long work takes where what else the machine does must not count. */

/** User CPU time of this process since it began, in milliseconds. */
export const cpuMs = (): number => process.cpuUsage().user / 1_000;
