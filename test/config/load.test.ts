import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exampleConfig } from "../../src/config/example.ts";
import { ConfigError, loadConfig } from "../../src/config/load.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "conductor-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const load = (text: string, environment: Record<string, string> = {}) => {
  writeFileSync(join(folder, "c.yaml"), text);
  return loadConfig({ file: "c.yaml", folder, environment }).config;
};

/** The lines of the ConfigError that a text gives. */
const linesOf = (text: string, environment: Record<string, string> = {}): readonly string[] => {
  try {
    load(text, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
};

describe("a configuration", () => {
  test("is the mission's numbers when there is no file", () => {
    const { config, file } = loadConfig({ file: null, folder: join(folder, "nowhere"), environment: {} });
    expect(file).toBeNull();
    expect(config.monitor).toMatchObject({ interval: 30_000, window: 60 });
    expect(config.scaler).toMatchObject({ shed: 0.8, restore: 0.65, emergency: 0.95 });
    expect(config.scaler.order).toEqual(["voice", "android", "discord", "stubs"]);
    expect(config.forecast).toMatchObject({ horizon: 300_000, points: 50, minPoints: 10, emaAlpha: 0.7 });
    expect(config.http).toMatchObject({ host: "127.0.0.1", port: 8420 });
  });

  test("reads quantities with their units", () => {
    const config = load("budget: { memory: 12GiB }\nmonitor: { interval: 1s }\nscaler: { shed: 77.5% }");
    expect(config.budget.memory).toBe(12 * 2 ** 30);
    expect(config.monitor.interval).toBe(1_000);
    expect(config.scaler.shed).toBe(0.775);
  });

  test("is frozen all the way down", () => {
    const config = load("");
    expect(() => Object.assign(config.scaler.order, { 0: "x" })).toThrow(TypeError);
  });

  test("takes the environment over the file", () => {
    const config = load("scaler: { shed: 70% }\nhttp: { port: 1 }", {
      CONDUCTOR_SCALER_SHED: "75%",
      CONDUCTOR_SCALER_ORDER: "a, b",
      CONDUCTOR_HTTP_PORT: "0",
      CONDUCTOR_PLUGINS_BUNDLED: "true",
      CONDUCTOR_MONITOR_ANOMALY_SIGMA: "2.5",
    });
    expect(config.scaler).toMatchObject({ shed: 0.75, order: ["a", "b"] });
    expect(config.http.port).toBe(0);
    expect(config.plugins.bundled).toBe(true);
    expect(config.monitor.anomalySigma).toBe(2.5);
  });

  test("is the same as the defaults when it is the written example, commented or not", () => {
    const commented = exampleConfig();
    expect(load(commented)).toEqual(load(""));
    const uncommented = commented
      .split("\n")
      .filter(
        (line) =>
          !/memory: 12GiB|path: |dirs: |bundled: |(timeout|error|crash): 3$|limit: 16|load: 100/.test(line),
      )
      .map((line, index) => (index < 3 ? line : line.replace(/^# /, "")))
      .join("\n");
    const emptied = uncommented.replaceAll(/^(\s*)(budget|thresholds):$/gm, "$1$2: {}");
    expect(load(emptied)).toEqual(load(""));
  });
});

describe("a wrong configuration is refused, naming file, line, key, value and what is allowed", () => {
  const table: [string, string, string][] = [
    [
      "a number without a unit",
      "monitor: { interval: 30 }",
      "c.yaml:1: monitor.interval: 30: expected a text with a unit, such as 30s",
    ],
    [
      "a text without a unit",
      'monitor: { interval: "30" }',
      'c.yaml:1: monitor.interval: "30": expected a unit (ms, s, m, h, d), such as "30s"',
    ],
    [
      "a unit in the wrong case",
      "budget: { memory: 12Gib }",
      'c.yaml:1: budget.memory: "12Gib": unknown unit "Gib": write "GiB"',
    ],
    [
      "an unknown unit",
      "scaler: { shed: 8x }",
      'c.yaml:1: scaler.shed: "8x": unknown unit "x": expected one of %',
    ],
    [
      "an unknown key, with the nearest known one",
      "\nscaler:\n  shde: 80%",
      'c.yaml:3: scaler.shde: unknown key; did you mean "shed"?',
    ],
    [
      "an unknown key like none",
      "qqqqqq: 1",
      "c.yaml:1: qqqqqq: unknown key; known: http, storage, budget, monitor, forecast, scaler, shadow, health, breaker, routing, plugins, models, ladder, webhooks, deadLetters, idempotency, log",
    ],
    [
      "a value out of range",
      "http: { port: 70000 }",
      "c.yaml:1: http.port: 70000: expected a whole number from 0 to 65535",
    ],
    ["a list instead of a text", "storage: { path: [1] }", "c.yaml:1: storage.path: [1]: expected a text"],
    ["a text instead of a mapping", "scaler: high", 'c.yaml:1: scaler: "high": expected a mapping of keys'],
    ["not a mapping at all", "[1]", "c.yaml: [1]: expected a mapping of keys"],
    [
      "restore not under shed",
      "scaler: { restore: 80% }",
      'c.yaml:1: scaler.restore: "80%": expected less than scaler.shed (80%)',
    ],
    [
      "shed not under emergency",
      "scaler: { shed: 95% }",
      'c.yaml:1: scaler.shed: "95%": expected less than scaler.emergency (95%)',
    ],
    [
      "more than the whole budget",
      "scaler: { emergency: 120% }",
      'c.yaml:1: scaler.emergency: "120%": expected at most 100%',
    ],
    [
      "a plugin twice in the order",
      "scaler: { order: [a, a] }",
      'c.yaml:1: scaler.order: ["a","a"]: "a" stands twice; expected each plugin once',
    ],
    ["a key twice", "log: {}\nlog: {}", "c.yaml:2:1: Map keys must be unique"],
    ["malformed YAML", "scaler:\n\tshed: 1", "c.yaml:2:1: Tabs are not allowed as indentation"],
    [
      "a reflex that is slower at its fastest",
      "monitor: { reflex: { fastest: 900ms, slowest: 500ms } }",
      'c.yaml:1: monitor.reflex.fastest: "900ms": expected at most monitor.reflex.slowest',
    ],
  ];
  test.each(table)("%s", (_, text, line) => {
    expect(linesOf(text)).toContain(line);
  });

  test("every problem at once, in the order of the file", () => {
    const lines = linesOf("scaler:\n  shde: 1\n  shed: 5\nmonitor:\n  window: 1\nbudget:\n  memory: 1");
    expect(lines.map((line) => line.slice(0, 8))).toEqual(["c.yaml:2", "c.yaml:3", "c.yaml:5", "c.yaml:7"]);
  });

  test("a variable that names no setting, with the nearest one", () => {
    expect(linesOf("", { CONDUCTOR_SCALER_SHEDD: "80%" })).toEqual([
      "environment: CONDUCTOR_SCALER_SHEDD: unknown setting; did you mean CONDUCTOR_SCALER_SHED?",
    ]);
  });

  test("a variable with a wrong value is named, not the file", () => {
    expect(linesOf("", { CONDUCTOR_HTTP_PORT: "many" })).toEqual([
      'environment: CONDUCTOR_HTTP_PORT: http.port: "many": expected a whole number from 0 to 65535',
    ]);
  });

  test("a file that is named but missing, or a folder", () => {
    mkdirSync(join(folder, "d.yaml"), { recursive: true });
    const attempt = (file: string) => () => loadConfig({ file, folder, environment: {} });
    expect(attempt("none.yaml")).toThrow('none.yaml: no such file; write one with "conductor init"');
    expect(attempt("d.yaml")).toThrow("d.yaml: is a folder; expected a YAML file");
  });

  test("aliases that explode", () => {
    let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
    for (let i = 1; i < 9; i++)
      bomb += `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(", ")}]\n`;
    expect(linesOf(bomb)[0]).toContain("Excessive alias count");
  });

  test("a secret's value is not repeated", () => {
    expect(linesOf("plugins: { config: { a: 1, b: { token: 2 } } }").join()).not.toContain("token");
  });
});
