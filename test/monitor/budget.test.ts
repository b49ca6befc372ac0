/** Memory against the budget: which constraint is told, and what happens when files lie. */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, renameSync } from "node:fs";
import fc from "fast-check";
import { bindingConstraint, type Constraint, MemoryMeter } from "../../src/monitor/budget.ts";
import {
  FixtureHost,
  GiB,
  hybridPlace,
  MiB,
  meminfo,
  v1Cgroup,
  v1Place,
  v1Unlimited,
  v2Cgroup,
  v2Place,
} from "./fixture-host.ts";

const host = (usedGiB: number, limitGiB: number): Constraint => ({
  usedBytes: usedGiB * GiB,
  limitBytes: limitGiB * GiB,
  cgroup: null,
});
const cgroup = (name: string, usedGiB: number, limitGiB: number): Constraint => ({
  ...host(usedGiB, limitGiB),
  cgroup: name,
});

describe("the constraint that binds", () => {
  // host, cgroups, budget.memory in GiB; then used, limit, source, cgroup
  const table: [string, Constraint, Constraint[], number | null, number, number, string, string | null][] = [
    ["host alone", host(3, 12), [], null, 3, 12, "host", null],
    ["configured under the host", host(3, 24), [], 12, 3, 12, "config", null],
    ["configured over the host", host(3, 12), [], 24, 3, 12, "host", null],
    ["a limit, fuller than the host", host(3, 12), [cgroup("a", 2, 4)], null, 2, 4, "cgroup", "a"],
    ["a limit, emptier than the host", host(9, 12), [cgroup("a", 1, 4)], null, 9, 12, "host", null],
    [
      "the outer of two limits is fuller",
      host(3, 12),
      [cgroup("a", 1, 2), cgroup("b", 5, 6)],
      null,
      5,
      6,
      "cgroup",
      "b",
    ],
    [
      "the inner of two limits is fuller",
      host(3, 12),
      [cgroup("a", 1.9, 2), cgroup("b", 5, 6)],
      null,
      1.9,
      2,
      "cgroup",
      "a",
    ],
    ["a limit over the host's memory is none", host(3, 12), [cgroup("a", 11, 12)], null, 3, 12, "host", null],
    ["configured caps the innermost", host(3, 12), [cgroup("a", 1, 4)], 2, 1, 2, "config", "a"],
    ["and the host can still bind", host(9, 12), [cgroup("a", 1, 4)], 2, 9, 12, "host", null],
    [
      "configured caps the smallest of two",
      host(3, 12),
      [cgroup("a", 1, 8), cgroup("b", 3, 4)],
      3.5,
      3,
      3.5,
      "config",
      "b",
    ],
    ["used over a configured budget", host(6, 12), [], 4, 6, 4, "config", null],
  ];
  test.each(table)("%s", (_, onHost, cgroups, configuredGiB, used, limit, source, name) => {
    const found = bindingConstraint(onHost, cgroups, configuredGiB === null ? null : configuredGiB * GiB);
    expect(found).toEqual({
      constraint: { usedBytes: used * GiB, limitBytes: limit * GiB, cgroup: name },
      source: source as "host",
    });
  });

  const part = fc.integer({ min: 1, max: 64 });
  const constraints = fc.array(fc.record({ usedBytes: part, limitBytes: part }), { maxLength: 5 });

  test("is at least as full as any, and a smaller configured budget never makes it emptier", () => {
    fc.assert(
      fc.property(part, part, constraints, part, part, (used, limit, around, one, other) => {
        const onHost = { usedBytes: Math.min(used, limit), limitBytes: limit, cgroup: null };
        const cgroups = around.map((each, index) => ({ ...each, cgroup: String(index) }));
        const share = (configured: number | null) => {
          const { constraint } = bindingConstraint(onHost, cgroups, configured);
          return constraint.usedBytes / constraint.limitBytes;
        };
        for (const each of [onHost, ...cgroups.filter(({ limitBytes }) => limitBytes < limit)])
          expect(share(null)).toBeGreaterThanOrEqual(each.usedBytes / each.limitBytes);
        expect(share(Math.min(one, other))).toBeGreaterThanOrEqual(share(Math.max(one, other)));
        expect(share(one)).toBeGreaterThanOrEqual(share(null));
      }),
    );
  });
});

describe("a meter", () => {
  let fixture: FixtureHost | null = null;
  let meter: MemoryMeter | null = null;
  afterEach(() => {
    meter?.close();
    fixture?.remove();
    fixture = meter = null;
  });
  function on(files: Record<string, string>, configuredBytes: number | null = null) {
    fixture = new FixtureHost(files);
    meter = new MemoryMeter(configuredBytes, fixture.root);
    return { fixture, meter };
  }
  const calm = { "/proc/meminfo": meminfo(12 * GiB, 9 * GiB, 2 * GiB, 1.5 * GiB) };

  test("reads a version 1 cgroup: usage less the inactive cache of all below, against its limit", () => {
    const files = {
      ...calm,
      ...v1Place("/a/b"),
      ...v1Cgroup("/", v1Unlimited, 9 * GiB, 0),
      ...v1Cgroup("/a", 4 * GiB, 3 * GiB, 512 * MiB),
      ...v1Cgroup("/a/b", v1Unlimited, GiB, 0),
    };
    const { meter, fixture } = on(files);
    expect(meter.read()).toEqual({
      usedBytes: 2.5 * GiB,
      budgetBytes: 4 * GiB,
      usedRatio: 0.625,
      source: "cgroup",
      cgroup: `${fixture.root}/sys/fs/cgroup/memory/a`,
      swapUsedBytes: 0.5 * GiB,
      swapTotalBytes: 2 * GiB,
    });
  });

  test("reads a version 2 cgroup", () => {
    const { meter } = on({
      ...calm,
      ...v2Place("/a/b"),
      ...v2Cgroup("/a", 4 * GiB, 3 * GiB, GiB),
      ...v2Cgroup("/a/b", "max", 3 * GiB, 0),
    });
    expect(meter.read()).toMatchObject({ usedBytes: 2 * GiB, budgetBytes: 4 * GiB, source: "cgroup" });
  });

  test("reads a hybrid host's version 1 cgroup, and a configured budget within it", () => {
    const files = { ...calm, ...hybridPlace("/a"), ...v1Cgroup("/a", 4 * GiB, GiB, 0) };
    const { meter } = on(files, 2 * GiB);
    expect(meter.read()).toMatchObject({ usedBytes: GiB, budgetBytes: 2 * GiB, source: "config" });
  });

  test("notices a limit that is rewritten, and one that is set for the first time", () => {
    const { meter, fixture } = on({ ...calm, ...v2Place("/a"), ...v2Cgroup("/a", "max", GiB, 0) });
    expect(meter.read().source).toBe("host");
    fixture.write({ "/sys/fs/cgroup/a/memory.max": `${2 * GiB}\n` });
    expect(meter.read()).toMatchObject({ source: "cgroup", budgetBytes: 2 * GiB });
    fixture.write({ "/sys/fs/cgroup/a/memory.max": `${1.25 * GiB}\n` });
    expect(meter.read()).toMatchObject({ usedRatio: 0.8, budgetBytes: 1.25 * GiB });
  });

  test("notices that it was moved to another cgroup", () => {
    const { meter, fixture } = on({
      ...calm,
      ...v2Place("/a"),
      ...v2Cgroup("/a", "max", GiB, 0),
      ...v2Cgroup("/b", 2 * GiB, GiB, 0),
    });
    expect(meter.read().source).toBe("host");
    fixture.write({ "/proc/self/cgroup": "0::/b\n" });
    expect(meter.read()).toMatchObject({ source: "cgroup", budgetBytes: 2 * GiB });
    expect(meter.cgroups.map(({ folder }) => folder)).toEqual([`${fixture.root}/sys/fs/cgroup/b`]);
  });

  test("with a clock looks once in a second whether it was moved, and after a failure at once", () => {
    const { fixture } = on({
      ...calm,
      ...v2Place("/a"),
      ...v2Cgroup("/a", 3 * GiB, GiB, 0),
      ...v2Cgroup("/b", 2 * GiB, GiB, 0),
    });
    let nowMs = 0;
    const meter = new MemoryMeter(null, fixture.root, () => nowMs);
    expect(meter.read().budgetBytes).toBe(3 * GiB);
    fixture.write({ "/proc/self/cgroup": "0::/b\n" });
    nowMs = 999;
    expect(meter.read().budgetBytes).toBe(3 * GiB);
    nowMs = 1_000;
    expect(meter.read().budgetBytes).toBe(2 * GiB);
    const garbled = "/sys/fs/cgroup/b/memory.max";
    fixture.write({ [garbled]: "?\n", "/proc/self/cgroup": "0::/a\n" });
    nowMs = 1_001;
    // What cannot be read is looked for again: it was moved.
    expect(meter.read().budgetBytes).toBe(3 * GiB);
    meter.close();
  });

  test("finds the cgroups again when one of them was replaced", () => {
    const { meter, fixture } = on({ ...calm, ...v2Place("/a"), ...v2Cgroup("/a", 2 * GiB, GiB, 0) });
    expect(meter.read().budgetBytes).toBe(2 * GiB);
    const folder = `${fixture.root}/sys/fs/cgroup`;
    renameSync(`${folder}/a`, `${folder}/old`);
    mkdirSync(`${folder}/a`);
    fixture.write({ "/proc/self/cgroup": "0::/old\n" });
    expect(meter.read().cgroup).toBe(`${folder}/old`);
  });

  test("knows no cgroup on a kernel without any", () => {
    const { meter } = on(calm);
    expect(meter.read()).toMatchObject({ source: "host", usedRatio: 0.25 });
    expect(meter.read()).toMatchObject({ source: "host" });
    expect(meter.cgroups).toEqual([]);
  });

  test("the use of a cgroup without a limit is not looked at, so that nothing is lost when it is garbled", () => {
    const { meter } = on({
      ...calm,
      ...v2Place("/a"),
      ...v2Cgroup("/a", "max", 0, 0),
      "/sys/fs/cgroup/a/memory.stat": "?",
    });
    expect(meter.read().source).toBe("host");
  });

  test("a limit of zero is all used", () => {
    const { meter } = on({ ...calm, ...v2Place("/a"), ...v2Cgroup("/a", 0, MiB, 0) });
    expect(meter.read()).toMatchObject({ budgetBytes: 1, usedRatio: MiB });
  });

  test("more inactive cache than usage is nothing used, not less", () => {
    const { meter } = on({ ...calm, ...v2Place("/a"), ...v2Cgroup("/a", GiB, MiB, 2 * MiB) }, 512 * MiB);
    expect(meter.read()).toMatchObject({ source: "host" });
  });

  const limited = { ...calm, ...v2Place("/a"), ...v2Cgroup("/a", 2 * GiB, GiB, 0) };
  const broken: [string, string, string, string][] = [
    ["a garbled limit", "/sys/fs/cgroup/a/memory.max", "lots\n", "limit"],
    ["an empty limit", "/sys/fs/cgroup/a/memory.max", "", "limit"],
    ["a garbled usage", "/sys/fs/cgroup/a/memory.current", "x\n", "use"],
    ["a cut-off memory.stat", "/sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_fi", "use"],
    ["an empty meminfo", "/proc/meminfo", "", "MemTotal"],
  ];
  test.each(broken)("with %s tells no memory rather than wrong memory", (_, path, text, message) => {
    const { meter, fixture } = on(limited);
    const whole = meter.read();
    fixture.write({ [path]: text });
    expect(() => meter.read()).toThrow(message);
    fixture.write(limited);
    expect(meter.read()).toEqual(whole);
  });

  test("without /proc/meminfo tells which file is missing", () => {
    const { meter } = on(v2Place("/a"));
    expect(() => meter.read()).toThrow("/proc/meminfo");
  });
});
