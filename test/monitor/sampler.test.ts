/** The loop: samples on the beat, gaps where a source fails, and nothing that ends it. */

import { afterEach, describe, expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import type { MemoryReading } from "../../src/monitor/budget.ts";
import { type HostSource, ProcSource } from "../../src/monitor/host-source.ts";
import type { Sample } from "../../src/monitor/sample.ts";
import { Sampler, type SamplerOptions } from "../../src/monitor/sampler.ts";
import { SampleWindow } from "../../src/monitor/window.ts";
import { FixtureHost, GiB, meminfo, v2Place } from "./fixture-host.ts";
import { notedGaps } from "./noted.ts";

const memory: MemoryReading = {
  usedBytes: 3 * GiB,
  budgetBytes: 12 * GiB,
  usedRatio: 0.25,
  source: "host",
  cgroup: null,
  swapUsedBytes: 0,
  swapTotalBytes: 0,
};

/** A host of which each part can be made to fail. */
class ScriptedHost implements HostSource {
  pressureMissingBecause: string | null = null;
  readonly failing = new Set<string>();
  reads = 0;

  #answer<T>(part: string, value: T): T {
    this.reads++;
    if (this.failing.has(part)) throw new Error(`${part} is broken`);
    return value;
  }
  memory = () => this.#answer("memory", memory);
  cpu = () => this.#answer("cpu", 10);
  disk = () => this.#answer("disk", { usedPercent: 40, freeBytes: GiB, totalBytes: 2 * GiB });
  load = () => this.#answer("load", { load1: 1, load5: 2, load15: 3 });
  pressure = (kind: string) => this.#answer(`pressure.${kind}`, { somePercent: 5, fullPercent: 1 });
}

function sampling(options: Partial<SamplerOptions> = {}, capacity = 60) {
  const clock = new VirtualClock(1_000_000);
  const noted = notedGaps();
  const source = new ScriptedHost();
  const window = new SampleWindow(capacity);
  const samples: Sample[] = [];
  const sampler = new Sampler({
    clock,
    log: noted.log,
    gaps: noted.gaps,
    source,
    window,
    intervalMs: 30_000,
    diskPath: "/",
    footprintTargets: () => [],
    onSample: (sample) => samples.push(sample),
    ...options,
  });
  return { ...noted, clock, source, window, samples, sampler };
}

/** The parts of a sample that were read. */
const partsOf = (sample: Sample | undefined) =>
  sample && {
    cpu: sample.cpuPercent !== null,
    memory: sample.memory !== null,
    disk: sample.disk !== null,
    load: sample.load !== null,
    "pressure.memory": sample.pressure.memory !== null,
    "pressure.cpu": sample.pressure.cpu !== null,
    "pressure.io": sample.pressure.io !== null,
    footprints: sample.footprints !== null,
  };

describe("the beat", () => {
  test("is one sample at once, then one each interval, in the window before it is announced", async () => {
    const seen: boolean[] = [];
    const { clock, sampler, samples, window } = sampling({
      onSample: (sample) => {
        seen.push(window.current() === sample);
        samples.push(sample);
      },
    });
    sampler.start();
    await clock.advance(0);
    expect(samples).toHaveLength(1);
    await clock.advance(29_999);
    expect(samples).toHaveLength(1);
    await clock.advance(60_001);
    expect(samples.map(({ atMs }) => atMs)).toEqual([1_000_000, 1_030_000, 1_060_000, 1_090_000]);
    expect(seen).toEqual([true, true, true, true]);
    sampler.stop();
    await clock.advance(90_000);
    expect(samples).toHaveLength(4);
  });

  test("started twice is still one beat", async () => {
    const { clock, sampler, samples } = sampling();
    sampler.start();
    sampler.start();
    await clock.advance(30_000);
    expect(samples).toHaveLength(2);
    sampler.stop();
  });

  test("a source that does not answer is waited for one interval, is not asked again, and ends nothing", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    const { clock, sampler, samples } = sampling({
      refresh: () => {
        asked++;
        return promise;
      },
    });
    sampler.start();
    await clock.advance(29_999);
    expect([asked, samples.length]).toEqual([1, 0]);
    await clock.advance(90_001);
    expect(asked).toBe(1);
    expect(samples.length).toBeGreaterThanOrEqual(2);
    resolve();
    await clock.advance(60_000);
    expect(asked).toBeGreaterThan(1);
    sampler.stop();
  });

  test("stopped while it waits announces nothing any more", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { clock, sampler, samples, window } = sampling({ refresh: () => promise });
    sampler.start();
    sampler.stop();
    resolve();
    await clock.advance(30_000);
    expect([samples.length, window.history().length]).toEqual([0, 0]);
  });

  test("a sample outside of the beat is in the window and is not announced", () => {
    const { sampler, samples, window } = sampling();
    expect(sampler.sampleNow()).toBe(window.current() as Sample);
    expect(samples).toEqual([]);
  });
});

describe("a source that fails", () => {
  const parts = ["memory", "cpu", "disk", "load", "pressure.memory", "pressure.cpu", "pressure.io"];

  test.each(parts)("%s: is a gap, and takes no other part with it", (part) => {
    const { sampler, source } = sampling();
    source.failing.add(part);
    const read = partsOf(sampler.sampleNow());
    expect(read).toEqual({ ...partsOf(sampling().sampler.sampleNow()), [part]: false } as typeof read);
  });

  test("all at once: a sample of gaps, and the next one is whole", async () => {
    const { clock, sampler, source, samples, gaps } = sampling();
    for (const part of parts) source.failing.add(part);
    sampler.start();
    await clock.advance(0);
    expect(Object.values(partsOf(samples[0]) ?? {}).filter(Boolean)).toEqual([true]); // no plugins: footprints
    source.failing.clear();
    await clock.advance(30_000);
    expect(Object.values(partsOf(samples[1]) ?? {}).every(Boolean)).toBe(true);
    expect(gaps.total()).toBe(parts.length);
    sampler.stop();
  });

  test("is counted each time, logged and announced once, and logged once when it is back", async () => {
    const { clock, sampler, source, gaps, lines, logged, events, metric } = sampling();
    source.failing.add("disk");
    sampler.start();
    await clock.advance(60_000);
    expect(gaps.counts()).toEqual({ disk: 3 });
    expect(metric).toEqual(["disk", "disk", "disk"]);
    expect(logged()).toEqual(["monitor.gap disk"]);
    expect(lines[0]?.error).toBe("disk is broken");
    expect(events).toEqual([{ name: "monitor.gap", data: { source: "disk", error: "disk is broken" } }]);
    source.failing.clear();
    await clock.advance(60_000);
    expect(logged()).toEqual(["monitor.gap disk", "monitor.recovered disk"]);
    source.failing.add("disk");
    await clock.advance(60_000);
    expect(logged()).toEqual(["monitor.gap disk", "monitor.recovered disk", "monitor.gap disk"]);
    expect(gaps.counts()).toEqual({ disk: 5 });
    sampler.stop();
  });

  test("when it is asked ahead: the sample is taken all the same", async () => {
    const { clock, sampler, samples, gaps } = sampling({
      refresh: () => Promise.reject(new Error("no answer")),
    });
    sampler.start();
    await clock.advance(30_000);
    expect(samples).toHaveLength(2);
    expect(gaps.counts()).toEqual({ host: 2 });
    sampler.stop();
  });

  test("for the list of plugins: only footprints are missing", () => {
    const { sampler, gaps } = sampling({
      footprintTargets: () => {
        throw new Error("no list");
      },
    });
    expect(partsOf(sampler.sampleNow())).toMatchObject({ footprints: false, memory: true });
    expect(gaps.counts()).toEqual({ footprints: 1 });
  });
});

test("a receiver that throws is logged, and the beat goes on", async () => {
  const { clock, sampler, window, logged } = sampling({
    onSample: () => {
      throw new Error("receiver");
    },
  });
  sampler.start();
  await clock.advance(60_000);
  expect(window.history()).toHaveLength(3);
  expect(logged()).toEqual(Array(3).fill("monitor.receiver_failed sample"));
  sampler.stop();
});

test("a kernel without pressure is said once, and is no gap", async () => {
  const { clock, sampler, source, samples, lines, gaps } = sampling();
  source.pressureMissingBecause = "no PSI";
  sampler.start();
  await clock.advance(60_000);
  expect(samples.map(({ pressure }) => pressure)).toEqual(
    Array(3).fill({ memory: null, cpu: null, io: null }),
  );
  expect(lines).toEqual([expect.objectContaining({ event: "monitor.no_pressure", because: "no PSI" })]);
  expect(gaps.total()).toBe(0);
  sampler.stop();
});

describe("a host of files", () => {
  const made: FixtureHost[] = [];
  afterEach(() => {
    for (const host of made.splice(0)) host.remove();
  });
  function hostOf(contents: Record<string, string>): FixtureHost {
    const host = new FixtureHost(contents);
    made.push(host);
    return host;
  }

  const files = {
    "/proc/meminfo": meminfo(12 * GiB, 9 * GiB),
    "/proc/stat": "cpu  100 0 0 900 0 0 0 0 0 0\n",
    "/proc/loadavg": "1.00 2.00 3.00 1/9 9\n",
    ...v2Place("/"),
  };
  const psi =
    "some avg10=2.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=1\n";

  test("without /proc/pressure has none, and says why", () => {
    const host = hostOf(files);
    expect(new ProcSource(null, host.root).pressureMissingBecause).toContain("CONFIG_PSI");
  });

  test("is sampled whole; a file that is garbled or gone later is a gap until it is back", () => {
    const host = hostOf(files).write({
      "/proc/pressure/memory": psi,
      "/proc/pressure/cpu": `${psi.split("\n")[0]}\n`,
      "/proc/pressure/io": psi,
    });
    const source = new ProcSource(null, host.root);
    const { sampler, gaps } = sampling({ source });
    const first = sampler.sampleNow();
    expect(first.cpuPercent).toBeNull();
    expect(gaps.total()).toBe(0);
    expect(first.memory?.usedRatio).toBe(0.25);
    expect(first.load).toEqual({ load1: 1, load5: 2, load15: 3 });
    expect(first.pressure.cpu).toEqual({ somePercent: 2, fullPercent: null });

    host.write({ "/proc/stat": "cpu  125 0 0 975 0 0 0 0 0 0\n", "/proc/loadavg": "!" });
    host.delete("/proc/pressure/io");
    const second = sampler.sampleNow();
    expect(second).toMatchObject({ cpuPercent: 25, load: null, pressure: { io: null } });
    expect(gaps.counts()).toEqual({ load: 1, "pressure.io": 1 });

    host.write(files).write({ "/proc/stat": "", "/proc/pressure/io": psi });
    expect(sampler.sampleNow()).toMatchObject({
      cpuPercent: null,
      load: first.load,
      pressure: first.pressure,
    });
    expect(gaps.counts()).toEqual({ load: 1, "pressure.io": 1, cpu: 1 });
    source.meter.close();
  });

  test("asked twice within a tick of its processor time tells it once the time has passed, without a gap", () => {
    const host = hostOf(files);
    const source = new ProcSource(null, host.root);
    expect([source.cpu(), source.cpu()]).toEqual(["first", "first"]);
    host.write({ "/proc/stat": "cpu  150 0 0 950 0 0 0 0 0 0\n" });
    expect(source.cpu()).toBe(50);
    host.write({ "/proc/stat": "cpu  150 0 0 1050 0 0 0 0 0 0\n" });
    expect(source.cpu()).toBe(0);
  });
});
