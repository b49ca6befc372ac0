/** The order of texts by code units: the same on every machine, whatever its language. */

/** For `sort`: negative when `a` comes first. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
