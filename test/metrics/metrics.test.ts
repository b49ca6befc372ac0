import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { BoundedLabel, mostLabelValues } from "../../src/metrics/bounded-labels.ts";
import { Metrics } from "../../src/metrics/metrics.ts";

const fresh = () =>
  new Metrics(
    { version: "0.1.0", commit: "abc1234", kernel: "wasm" },
    {
      plugin: ["stopped", "running", "shed"],
      forecast: ["cold", "ready"],
      calibration: ["none", "calibrating", "calibrated", "miscalibrated"],
    },
  );

/** The lines of one metric, without its help. */
async function seriesOf(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.render();
  return text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

/** Every metric with a value. */
function used(metrics: Metrics): Metrics {
  metrics.observeHealthCheck("discord", "healthy", 0.004);
  metrics.setBreakerState("discord", "half_open");
  metrics.countPluginFailure("discord", "timeout");
  metrics.setResources({ cpu_percent: 12.5, memory_percent: 80, memory_used_bytes: 1e9, load1: 0.5 });
  metrics.setMemory(1e9, 12 * 2 ** 30);
  metrics.setForecast({ valueRatio: 0.8, lowerRatio: 0.7, upperRatio: 0.9 }, "ready");
  metrics.setForecastQuality({
    calibration: "calibrated",
    coverageRatio: 0.95,
    weights: { last: 0.25, line: 0.75 },
    secondsToThreshold: 600,
  });
  metrics.countForecastTraining("schedule", true);
  metrics.countForecastAnomaly("spike");
  metrics.countDecision("shed", "done");
  metrics.setObserving(true);
  metrics.countShadowReadings("late", "agree", 3);
  metrics.countShadowDifference("late", "hold");
  metrics.countPromotion("late", "promoted");
  metrics.countShed("voice", 2e8, 1.5e8);
  metrics.countRestore("voice");
  metrics.setReservedMemory({ start: 2e8, copy: 0, lease: 1e9 });
  metrics.setPluginState("voice", "running");
  metrics.setPluginFootprint("voice", 2e8, "cgroup");
  metrics.countPluginRestart("voice");
  metrics.setPluginInstances("voice", 2);
  metrics.countPluginSwap("voice", "swapped");
  metrics.countEvent("plugin.state");
  metrics.countEventDrops("webhook ops");
  metrics.countWebhookDelivery("delivered");
  metrics.observeRequest("discord", "ok", 0.002);
  metrics.countRetry("discord", "answered");
  metrics.countFallback("discord");
  metrics.followRequestGauges(() => [{ platform: "discord", limit: 12, inFlight: 3, queued: 1 }]);
  metrics.observeHealthTick(0.0004);
  metrics.countParked("shed");
  metrics.countRedrive("answered");
  metrics.countExpiredLetters(1);
  metrics.countLostLetters(1);
  metrics.setDeadLetters({ waiting: 2, poison: 1 }, 4_096);
  metrics.models.show([{ name: "small", state: "ready", heldBytes: 2e9, loadedContextTokens: 4_096 }]);
  metrics.models.answered({
    model: "small",
    finishReason: "stop",
    failure: null,
    cut: false,
    firstTextMs: 240,
    tokensPerSecond: 18,
    usage: { promptTokens: 120, completionTokens: 64 },
  });
  metrics.models.changed("large", "small");
  metrics.observeTick(0.003);
  metrics.observeReflexLate(0.002);
  metrics.countSampleGap("psi");
  metrics.countRefusedSample("repeated_timestamp");
  metrics.countStorageWriteFailure("samples");
  metrics.countLogDrops(3);
  metrics.setProcessMemory(3e7);
  return metrics;
}

describe("the five metrics of the mission have exactly their labels", () => {
  const expected: [string, string[]][] = [
    ["health_check_total", ['health_check_total{platform="discord",status="healthy"} 1']],
    ["health_check_duration_seconds_count", ['health_check_duration_seconds_count{platform="discord"} 1']],
    [
      "circuit_breaker_state",
      [
        'circuit_breaker_state{platform="discord",state="closed"} 0',
        'circuit_breaker_state{platform="discord",state="open"} 0',
        'circuit_breaker_state{platform="discord",state="half_open"} 1',
      ],
    ],
    ["plugin_failure_total", ['plugin_failure_total{platform="discord",error_type="timeout"} 1']],
    [
      "system_resources",
      [
        'system_resources{resource="cpu_percent"} 12.5',
        'system_resources{resource="memory_percent"} 80',
        'system_resources{resource="memory_used_bytes"} 1000000000',
        'system_resources{resource="load1"} 0.5',
      ],
    ],
  ];
  for (const [name, lines] of expected)
    test(name, async () => {
      expect(await seriesOf(used(fresh()), name)).toEqual(lines);
    });
});

test("promtool finds nothing wrong, neither at the start nor in use", async () => {
  const promtool = Bun.which("promtool");
  if (promtool === null) {
    console.error("skipped: no promtool (Debian: prometheus)");
    return;
  }
  for (const metrics of [fresh(), used(fresh())]) {
    const check = Bun.spawn([promtool, "check", "metrics"], {
      stdin: new Blob([await metrics.render()]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = (await new Response(check.stdout).text()) + (await new Response(check.stderr).text());
    expect([said, await check.exited]).toEqual(["", 0]);
  }
});

test("promtool, as it is used here, does find a bad metric", async () => {
  const promtool = Bun.which("promtool");
  if (promtool === null) return;
  const bad = "# HELP requests_ms Time.\n# TYPE requests_ms counter\nrequests_ms 1\n";
  const check = Bun.spawn([promtool, "check", "metrics"], {
    stdin: new Blob([bad]),
    stdout: "ignore",
    stderr: "ignore",
  });
  expect(await check.exited).not.toBe(0);
});

test("every metric is in use in this test, so that promtool has seen them all", async () => {
  const text = await used(fresh()).render();
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const series = type === "histogram" ? `${name}_count` : name;
    expect(text).toMatch(new RegExp(`^${series}(\\{| )`, "m"));
  }
});

test("what nobody measured has no series, and a value that is lost takes its series away", async () => {
  const metrics = fresh();
  for (const name of [
    "conductor_memory_used_bytes",
    "conductor_forecast_memory_ratio",
    "conductor_process_memory_bytes",
  ])
    expect(await seriesOf(metrics, name)).toEqual([]);
  used(metrics);
  metrics.setMemory(null, Number.NaN);
  metrics.setResources({ cpu_percent: null });
  metrics.setForecast(null, "cold");
  expect(await seriesOf(metrics, "conductor_memory_used_bytes")).toEqual([]);
  expect(await seriesOf(metrics, "conductor_memory_budget_bytes")).toEqual([]);
  expect(await seriesOf(metrics, "conductor_forecast_memory_upper_ratio")).toEqual([]);
  expect(await seriesOf(metrics, "conductor_forecast_state")).toEqual([
    'conductor_forecast_state{state="cold"} 1',
    'conductor_forecast_state{state="ready"} 0',
  ]);
  expect((await seriesOf(metrics, "system_resources")).join()).not.toContain("cpu_percent");
});

test("a counter never goes down: memory that grew in spite of a shed adds nothing", async () => {
  const metrics = fresh();
  metrics.countShed("voice", 100, 60);
  metrics.countShed("voice", null, -40);
  expect(await seriesOf(metrics, "conductor_reclaimed_bytes_total")).toEqual([
    "conductor_reclaimed_bytes_total 60",
  ]);
  expect(await seriesOf(metrics, "conductor_sheds_total")).toEqual([
    'conductor_sheds_total{plugin="voice"} 2',
  ]);
});

test("a footprint measured another way replaces its series; a plugin that is gone leaves none", async () => {
  const metrics = fresh();
  metrics.setPluginFootprint("voice", 5, "cgroup");
  metrics.setPluginFootprint("voice", 6, "pss");
  metrics.setPluginState("voice", "running");
  metrics.setPluginInstances("voice", 1);
  const name = "conductor_plugin_footprint_bytes";
  expect(await seriesOf(metrics, name)).toEqual([`${name}{plugin="voice",method="pss"} 6`]);
  metrics.forgetPlugin("voice");
  expect(await seriesOf(metrics, name)).toEqual([]);
  expect(await seriesOf(metrics, "conductor_plugin_state")).toEqual([]);
  expect(await seriesOf(metrics, "conductor_plugin_instances")).toEqual([]);
});

test("swaps are counted by plugin and by what came of them; instances say how many run now", async () => {
  const metrics = fresh();
  metrics.countPluginSwap("voice", "swapped");
  metrics.countPluginSwap("voice", "swapped");
  metrics.countPluginSwap("voice", "rolled_back");
  metrics.setPluginInstances("voice", 3);
  metrics.setPluginInstances("voice", 0);
  expect(await seriesOf(metrics, "conductor_plugin_swaps_total")).toEqual([
    'conductor_plugin_swaps_total{plugin="voice",outcome="swapped"} 2',
    'conductor_plugin_swaps_total{plugin="voice",outcome="rolled_back"} 1',
  ]);
  expect(await seriesOf(metrics, "conductor_plugin_instances")).toEqual([
    'conductor_plugin_instances{plugin="voice"} 0',
  ]);
});

test("a flood of platforms is bounded: the first keep their series, the rest count as other, none is lost", async () => {
  const metrics = fresh();
  const flood = 500;
  for (let n = 0; n < flood; n++) metrics.countPluginFailure(`platform-${n}`, "crash");
  const series = await seriesOf(metrics, "plugin_failure_total");
  expect(series).toHaveLength(mostLabelValues + 1);
  expect(series).toContain(
    `plugin_failure_total{platform="other",error_type="crash"} ${flood - mostLabelValues}`,
  );
});

test("plugins that come and go do not use up the places", async () => {
  const metrics = fresh();
  for (let n = 0; n < mostLabelValues * 3; n++) {
    metrics.setPluginState(`plugin-${n}`, "running");
    metrics.forgetPlugin(`plugin-${n}`);
  }
  metrics.setPluginState("voice", "shed");
  expect(await seriesOf(metrics, "conductor_plugin_state")).toContain(
    'conductor_plugin_state{plugin="voice",state="shed"} 1',
  );
});

test("any text is a label value that the format can carry", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", maxLength: 300 }), async (platform) => {
      const metrics = fresh();
      metrics.countPluginFailure(platform, "crash");
      const series = await seriesOf(metrics, "plugin_failure_total");
      expect(series).toHaveLength(1);
      expect(series[0]).toMatch(/^plugin_failure_total\{platform=".+",error_type="crash"\} 1$/s);
    }),
    { numRuns: 50, seed: 7 },
  );
});

test("an admitted value stays admitted, and no more than the bound ever are", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 })), (values) => {
      const label = new BoundedLabel(5);
      const first = values.map((value) => label.admit(value));
      expect(new Set(first.filter((value) => value !== "other")).size).toBeLessThanOrEqual(5);
      values.forEach((value, index) => {
        if (first[index] === value) expect(label.admit(value)).toBe(value);
      });
    }),
    { seed: 11 },
  );
});

test("prom-client is imported piece by piece: its index is not loaded", async () => {
  const source = join(import.meta.dir, "../../src/metrics/metrics.ts");
  const script = `await import(${JSON.stringify(source)}); console.log(Object.keys(require.cache).filter((path) => path.includes("prom-client")).map((path) => path.split("/").pop()).sort().join());`;
  const run = Bun.spawnSync([process.execPath, "-e", script]);
  const loaded = run.stdout.toString().trim().split(",");
  expect(loaded).toContain("registry.js");
  expect(loaded).not.toContain("index.js");
  expect(loaded).not.toContain("cluster.js");
});

test("the places for requests are read when they are shown, and go with their platform", async () => {
  const metrics = fresh();
  let places = [{ platform: "voice", limit: 16, inFlight: 2, queued: 0 }];
  metrics.followRequestGauges(() => places);
  expect(await seriesOf(metrics, "conductor_requests_in_flight")).toEqual([
    'conductor_requests_in_flight{platform="voice"} 2',
  ]);
  places = [{ platform: "discord", limit: 4, inFlight: 4, queued: 7 }];
  const shown = ["conductor_concurrency_limit", "conductor_requests_in_flight", "conductor_request_queue"];
  expect((await Promise.all(shown.map((name) => seriesOf(metrics, name)))).flat()).toEqual([
    'conductor_concurrency_limit{platform="discord"} 4',
    'conductor_requests_in_flight{platform="discord"} 4',
    'conductor_request_queue{platform="discord"} 7',
  ]);
});
