/** Decisions in words: derived from recorded ones, older and broken ones too. */

import { describe, expect, test } from "bun:test";
import { decisionFacts } from "../../src/cli/why/decision-facts.ts";
import { decisionText } from "../../src/cli/why/decision-text.ts";
import { nowText, type StatusView } from "../../src/cli/why/now.ts";

const MiB = 2 ** 20;
const at = "2026-01-01T00:00:10.000Z";

const thresholds = {
  kind: "mission",
  order: ["voice", "android", "stubs"],
  shedRatio: 0.8,
  restoreRatio: 0.65,
  emergencyRatio: 0.95,
  marginRatio: 0.05,
  dwellMs: 30_000,
  victims: "order",
};

const inputs = {
  measured: { usedBytes: 820 * MiB, budgetBytes: 1_000 * MiB, cgroup: null },
  plugins: [
    { name: "voice", state: "running", footprintBytes: 200 * MiB, learnedBytes: 180 * MiB, inFlight: 2 },
    { name: "android", state: "shed", learnedBytes: 50 * MiB, putOffUntil: "2026-01-01T00:01:10.000Z" },
    { name: "stubs", state: "running", footprintBytes: 20 * MiB, protect: true, growthPerSecond: MiB },
  ],
  lastChangeAt: "2026-01-01T00:00:00.000Z",
  growthPerSecond: 4 * MiB,
  reclaimMs: 400,
  reservedBytes: 30 * MiB,
  stallPercent: 12.34,
  load: { perSecond: 5, recentPerSecond: 4, usualPerSecond: 1.25, rising: true },
  ahead: { riseRatio: 0.04, at: "2026-01-01T00:12:00.000Z" },
  thresholds,
};

const done = {
  kind: "shed",
  plugin: "voice",
  urgent: false,
  expectedBytes: 200 * MiB,
  drainMs: 5_000,
  startedAt: "2026-01-01T00:00:10.003Z",
  durationMs: 350,
  beforeBytes: 821 * MiB,
  afterBytes: 625 * MiB,
  actualBytes: 196 * MiB,
  done: true,
  killed: false,
  detail: "stopped",
};

const shed = {
  id: 7,
  at,
  policy: "mission",
  rule: "threshold",
  reason: "82.0 % of the budget is used",
  inputs,
  forecast: {
    state: "ready",
    smoothedRatio: 0.85,
    lowerRatio: 0.8,
    upperRatio: 0.9,
    method: "adaptive",
    calibration: "miscalibrated",
  },
  plan: { targetRatio: 0.75, steps: [{ plugin: "voice", bytes: 200 * MiB, afterRatio: 0.62 }] },
  actions: [done],
  alternatives: [{ kind: "shed", plugin: "stubs", because: "is protected by its manifest" }],
  outcome: "done",
};

const textOf = (over: Record<string, unknown> = {}, later: string[] = []): string =>
  decisionText(7, decisionFacts({ ...shed, ...over }), later);

test("everything that led to a decision and came of it is told, the result first", () => {
  expect(textOf({}, ["voice was brought back 42 s later, by decision 9"])).toBe(
    `decision 7: voice was stopped, 196 MiB came back
2026-01-01T00:00:10.000Z, rule "threshold": the measured use is at the shed line

  82.0 % of the budget is used.

  action      shed voice: expected 200 MiB, 196 MiB back in 350 ms
                signalled 3 ms after the decision; its memory back 353 ms after it
                memory went from 82.1 % to 62.5 % of the budget
                memory left it at most 5 s to end by itself
                its end: stopped
  outcome     done
  since then  voice was brought back 42 s later, by decision 9

  measured    820 MiB of 1000 MiB (82.0 %)
  growing     by 4.00 MiB a second
  forecast    85.0 %, 95 % interval 80.0 % to 90.0 % (ready, adaptive, miscalibrated: its interval missed too often to be trusted)
  reclaim     a plugin's memory is expected back 400 ms after the signal
  promised    30.0 MiB to what starts or has a lease, not taken yet
  stalls      for 12.3 % of the last 10 s everything waited for memory
  requests    5.0 a second, 4.0 in the last 30 s, usually 1.3, and rising
  time of day the use usually rises by 4.0 % until 00:12 UTC
  last change a plugin was stopped or brought back 10 s before
  plugins     voice: running, holds 200 MiB, usually 180 MiB, 2 requests under way
              android: shed, usually 50.0 MiB, put off for another 60 s
              stubs: running, holds 20.0 MiB, grows by 1.00 MiB a second, protected

  policy      mission: shed from 80.0 % on, until under 75.0 %; restore up to 65.0 %; emergency from 95.0 % on; dwell 30 s
  order       voice, android, stubs
  plan        to under 75.0 %, measured again after each step
              1. voice: 200 MiB, which leaves 62.0 %
  not         shed stubs: is protected by its manifest`,
  );
});

test("a forecast of too little history is told without its interval, which says nothing", () => {
  const cold = {
    ...shed.forecast,
    state: "cold",
    method: "ols",
    calibration: null,
    lowerRatio: -20,
    upperRatio: 22,
  };
  expect(textOf({ forecast: cold })).toContain(
    "  forecast    85.0 % (cold, ols: too little history yet to shed for it)\n",
  );
  expect(textOf({ forecast: null })).toContain("  forecast    none yet\n");
});

describe("the first line", () => {
  const two = [done, { ...done, plugin: "android", beforeBytes: 625 * MiB, afterBytes: 500 * MiB }];
  const restore = { ...done, kind: "restore", actualBytes: MiB, detail: "it is ready" };
  test.each([
    // 821 - 500: not the sum of what each freed.
    [{ actions: two, rule: "emergency" }, "voice and android were stopped, 321 MiB came back"],
    [{ actions: [{ ...done, afterBytes: null }] }, "voice was stopped"],
    [{ actions: [{ ...done, afterBytes: 900 * MiB }] }, "voice was stopped, 0 B came back"],
    [{ outcome: "pending" }, "voice is being stopped"],
    [
      { outcome: "failed", actions: [done, { ...done, plugin: "android", done: false }] },
      "android could not be stopped",
    ],
    [{ actions: [restore], rule: "restore" }, "voice was brought back"],
    [{ actions: [restore], rule: "restore", outcome: "pending" }, "voice is being brought back"],
    [{ actions: [], rule: "hold", outcome: "none" }, "nothing is left that could be shed"],
    [
      { actions: Array.from({ length: 25 }, (_, n) => ({ ...done, plugin: `p${n}` })) },
      `${Array.from({ length: 20 }, (_, n) => `p${n}`).join(", ")} and 5 more were stopped, 196 MiB came back`,
    ],
  ])("%#", (over, line) => {
    expect(textOf(over).split("\n")[0]).toBe(`decision 7: ${line}`);
  });
});

describe("the plan", () => {
  const linesOf = (plan: unknown) =>
    textOf({ plan })
      .split("\n")
      .filter((line) => /^ {2}plan|^ +\d+\. /.test(line));
  test.each([
    [null, []],
    ["nonsense", []],
    [["voice", "android"], ["  plan        voice, then android"]],
    [
      { targetRatio: 0.5, steps: [{ plugin: "voice", bytes: null, afterRatio: 0.6 }] },
      [
        "  plan        to under 50.0 %, measured again after each step, which would not be enough",
        "              1. voice: an unknown amount, which leaves 60.0 %",
      ],
    ],
  ])("%j", (plan, lines) => {
    expect(linesOf(plan)).toEqual(lines);
  });
});

test("what was not recorded is left out, whatever stands there instead", () => {
  const bare = { id: 7, at, rule: "of-another-make", reason: "why not" };
  const rest = `decision 7: nothing was done
2026-01-01T00:00:10.000Z, rule "of-another-make"

  why not.

  outcome     none

  forecast    none yet`;
  for (const odd of [undefined, null, 7, "x", [], {}, { measured: 1, plugins: 2, load: [] }])
    expect(
      decisionText(
        7,
        decisionFacts({ ...bare, inputs: odd, forecast: odd, plan: odd, actions: odd, alternatives: odd }),
      ),
    ).toBe(rest);
});

test("long lists are bounded, and what a plugin said cannot command the terminal", () => {
  const many = Array.from({ length: 1_000 }, (_, n) => ({ name: `p${n}`, state: "running" }));
  const alternatives = many.map(({ name }) => ({ kind: "shed", plugin: name, because: "is not first" }));
  const out = textOf({
    inputs: { ...inputs, plugins: many },
    alternatives,
    plan: { targetRatio: 0.1, steps: many.map(({ name }) => ({ plugin: name, bytes: 1, afterRatio: 1 })) },
    actions: [{ ...done, detail: "last words: \u001b[2J" }],
  });
  expect(out.split("\n").length).toBeLessThan(100);
  expect(out).toContain("and 980 more (-o json has them all)");
  expect(out).toContain("last words: \\u001b[2J");
  expect(out).not.toContain("\u001b");
});

describe("now", () => {
  const status: StatusView = {
    at,
    policy: "mission",
    shedding: false,
    stopping: null,
    measured: { usedBytes: 300 * MiB, budgetBytes: 1_000 * MiB, usedRatio: 0.3 },
    shedLineRatio: 0.8,
    forecast: null,
    verdict: { rule: "hold", reason: "nothing to do", actions: [], rejected: [] },
    inputs: {
      measured: { usedBytes: 300 * MiB, budgetBytes: 1_000 * MiB },
      growthPerSecond: 5 * MiB,
      plugins: [],
    },
  };
  const head = (over: Partial<StatusView>) => nowText({ ...status, ...over }).split("\n")[0];

  test("says why nothing is done, and how far the shed line is", () => {
    const out = nowText(status);
    expect(out).toContain("now: nothing is done\n");
    expect(out).toContain(
      "  30.0 % of the budget is used, under the shed line of 80.0 %, and no plugin waits to come back.\n",
    );
    // 500 MiB at 5 MiB a second.
    expect(out).toContain(
      "  room        500 MiB up to the shed line of 80.0 %, 100 s at the present growth\n",
    );
  });

  test("says what is being done, and what keeps a plugin away", () => {
    expect(head({ stopping: "voice", shedding: true })).toBe("now: voice is being stopped");
    expect(head({ shedding: true })).toBe("now: memory is short, and no further plugin is stopped");
    const restore = {
      rule: "restore",
      reason: "it fits",
      actions: [{ kind: "restore", plugin: "voice" }],
      rejected: [],
    };
    expect(head({ verdict: restore })).toBe("now: voice is being brought back");
    const rejected = [{ kind: "restore", plugin: "voice", because: "is put off" }];
    const out = nowText({
      ...status,
      verdict: { rule: "hold", reason: "voice stays shed: is put off", actions: [], rejected },
    });
    expect(out).toContain("\n\n  voice stays shed: is put off.\n\n");
    expect(out).toContain("  not         restore voice: is put off");
    expect(head({ measured: null })).toBe("now: memory has not been measured yet; try again in a second");
  });
});
