/** The tick: one sample of everything each interval. What cannot be read is a gap; nothing ends the collection. */

import { type Clock, every, type Timer } from "../clock.ts";
import type { Log } from "../log.ts";
import { type FootprintReading, type FootprintTarget, footprints } from "./footprint.ts";
import type { Gaps } from "./gaps.ts";
import type { HostSource } from "./host-source.ts";
import type { Sample } from "./sample.ts";
import type { SampleWindow } from "./window.ts";

export interface SamplerOptions {
  clock: Clock;
  log: Log;
  gaps: Gaps;
  source: HostSource;
  window: SampleWindow;
  intervalMs: number;
  /** Its file system is watched. */
  diskPath: string;
  footprintTargets: () => readonly FootprintTarget[];
  /** Called before each sample where the source has to be asked ahead. */
  refresh?: () => Promise<void>;
  /** Called with each sample, after it is in the window. */
  onSample: (sample: Sample) => void;
}

export class Sampler {
  readonly #options: SamplerOptions;
  #timer: Timer | null = null;

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  /** Takes a sample at once, then one each interval. */
  start(): void {
    void this.#tick();
    this.#timer = every(this.#options.clock, this.#options.intervalMs, () => this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Takes a sample now, outside of the beat. */
  sampleNow(): Sample {
    const { clock, source, gaps, diskPath, window } = this.#options;
    const cpu = gaps.attempt("cpu", () => source.cpu());
    const sample: Sample = {
      atMs: clock.nowMs(),
      cpuPercent: cpu === "first" ? null : cpu,
      memory: gaps.attempt("memory", () => source.memory()),
      disk: gaps.attempt("disk", () => source.disk(diskPath)),
      load: gaps.attempt("load", () => source.load()),
      pressure: { memory: this.#pressure("memory"), cpu: this.#pressure("cpu"), io: this.#pressure("io") },
      footprints: this.#footprints(),
    };
    window.push(sample);
    return sample;
  }

  async #tick(): Promise<void> {
    const { refresh, onSample, log } = this.#options;
    try {
      await refresh?.();
      onSample(this.sampleNow());
    } catch (error) {
      log.error("monitor.tick_failed", { error });
    }
  }

  #pressure(kind: "memory" | "cpu" | "io") {
    const { source, gaps } = this.#options;
    return source.hasPressure ? gaps.attempt(`pressure.${kind}`, () => source.pressure(kind)) : null;
  }

  #footprints(): FootprintReading[] | null {
    const { gaps, footprintTargets } = this.#options;
    return gaps.attempt("footprints", () => footprints(footprintTargets()));
  }
}
