/** Streams of points on which a careless sliding sum loses its digits. Each is endless and the same in every run. */

export interface HardStream {
  readonly name: string;
  /** The `i`-th point. */
  point(i: number): [tSeconds: number, value: number];
}

/** From 0 up to 1, without a pattern that a window would see. */
const noise = (i: number): number => (Math.imul(i ^ (i >>> 15), 0x2c1b3c6d) >>> 0) / 2 ** 32;

export const hardStreams: readonly HardStream[] = [
  { name: "percentages every 5 s", point: (i) => [1.7e9 + i * 5, 60 + 10 * noise(i)] },
  { name: "epoch milliseconds", point: (i) => [1.7e12 + i * 5000, 60 + 10 * noise(i)] },
  {
    name: "bytes offset by 1e9 with spikes a thousand times the noise",
    point: (i) => [1.7e9 + i * 5, 1e9 + 1e5 * noise(i) + (i % 137 === 0 ? 1e8 : 0)],
  },
  {
    name: "spikes of 1e9 in noise of 1",
    point: (i) => [1.7e9 + i * 5, noise(i) + (i % 211 === 0 ? 1e9 : 0)],
  },
  { name: "near-constant values", point: (i) => [1.7e9 + i * 5, 42.5 + 1e-9 * noise(i)] },
  {
    name: "a steep leak that restarts flat",
    point: (i) => [1.7e9 + i * 5, i % 300 < 150 ? 1e9 + (i % 300) * 1e6 : 1e9 + 4096 * noise(i)],
  },
  {
    name: "gaps of a day between points a second apart",
    point: (i) => [1.7e9 + i + Math.floor(i / 97) * 86_400, 60 + 10 * noise(i)],
  },
  {
    // A gap at every 23rd point, of 1 s, 10 s and so on to 1e7 s, then from 1 s again.
    name: "heavy tails, and gaps of a second to months between points a second apart",
    point: (i) => {
      const gaps = Math.floor(i / 23);
      const cycles = Math.floor(gaps / 8) * 11_111_111;
      return [1.7e9 + i + cycles + (10 ** (gaps % 8) - 1) / 9, Math.tan(3 * (noise(i) - 0.5))];
    },
  },
  {
    name: "spikes of 1e15 in noise of 1",
    point: (i) => [1.7e9 + i * 5, noise(i) + (i % 173 === 0 ? 1e15 : 0)],
  },
  {
    name: "a value of 1e9 that dies away to noise of 1",
    point: (i) => [1.7e9 + i * 5, 1e9 * Math.exp(-(i % 400) / 3) + noise(i)],
  },
  {
    name: "levels a million apart in noise of 1/1000, on steps that jitter",
    point: (i) => [1.7e9 + i * 5 + noise(i + 99), 1e6 * (Math.floor(i / 130) % 7) + noise(i) / 1000],
  },
  {
    name: "a leak that never ends, from 1e9 in noise of 10",
    point: (i) => [1.7e9 + i * 5, 1e9 + i * 1e5 + 10 * noise(i)],
  },
];
