/** /proc/loadavg: tasks that run or wait for a disk, averaged over 1, 5 and 15 minutes. */

export interface Load {
  load1: number;
  load5: number;
  load15: number;
}

/** The three averages; null when the text does not begin with them. */
export function parseLoad(text: string): Load | null {
  const match = /^(\d+(?:\.\d+)?) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?) /.exec(text);
  return match && { load1: Number(match[1]), load5: Number(match[2]), load15: Number(match[3]) };
}
