/** The tick: one sample of everything each interval. What cannot be read is a gap; nothing ends the collection. */

import { type Clock, every, type Timer } from "../clock.ts";
import type { Log } from "../log.ts";
import { type FootprintReading, type FootprintTarget, footprints } from "./footprint.ts";
import type { Gaps } from "./gaps.ts";
import type { HostSource, PressureKind } from "./host-source.ts";
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
  #ticking = false;
  #asked: Promise<Error | null> | null = null;

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  /** Takes a sample at once, then one each interval; beats that a suspended machine missed are skipped. */
  start(): void {
    if (this.#timer) return;
    const { clock, intervalMs, source, log } = this.#options;
    const because = source.pressureMissingBecause;
    if (because !== null) log.info("monitor.no_pressure", { because });
    this.#timer = every(clock, intervalMs, () => this.#tick());
    void this.#tick();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Takes a sample now, outside of the beat: it is put in the window and returned, and not announced. */
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

  /** Never rejects. One at a time: asking ahead may take longer than an interval. */
  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    const { gaps, onSample } = this.#options;
    const failure = await this.#refresh();
    gaps.attempt("host", () => {
      if (failure !== null) throw failure;
      return true;
    });
    if (this.#timer) gaps.deliver("sample", () => onSample(this.sampleNow()));
    this.#ticking = false;
  }

  /** Why asking ahead failed, or that it takes too long; what the source knew before is still read. */
  async #refresh(): Promise<Error | null> {
    const { refresh, clock, intervalMs } = this.#options;
    if (!refresh) return null;
    const late = Promise.withResolvers<Error>();
    const timer = clock.after(intervalMs, () => late.resolve(new Error(`no answer within ${intervalMs} ms`)));
    // One that never answers is asked no second time.
    this.#asked ??= refresh()
      .then(
        () => null,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      )
      .finally(() => {
        this.#asked = null;
      });
    const failure = await Promise.race([this.#asked, late.promise]);
    timer.cancel();
    return failure;
  }

  #pressure(kind: PressureKind) {
    const { source, gaps } = this.#options;
    if (source.pressureMissingBecause !== null) return null;
    return gaps.attempt(`pressure.${kind}`, () => source.pressure(kind));
  }

  #footprints(): FootprintReading[] | null {
    const { gaps, footprintTargets } = this.#options;
    return gaps.attempt("footprints", () => footprints(footprintTargets()));
  }
}
