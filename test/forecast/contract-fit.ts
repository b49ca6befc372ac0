import { expect, test } from "bun:test";
import type { Series, SeriesOptions } from "../../src/forecast/forecaster.ts";
import { expectClose } from "./closeness.ts";
import { exactLine } from "./exact-line.ts";
import { type DegenerateWindow, type GoldenWindow, goldenStudentT, goldenWindows } from "./golden-windows.ts";
import { forecastOf } from "./kernels.ts";

/** Makes a series that was given every point. */
export type Feed = (times: number[], values: number[], options?: Partial<SeriesOptions>) => Series;

const golden = await goldenWindows();
const studentT = await goldenStudentT();
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** The line and its interval are those of sklearn, statsmodels and rational arithmetic. */
export function fitsReferences(fed: Feed): void {
  test.each(
    golden.windows.map(
      (window) => [`${window.id} (${window.source}, ${window.t.length} points)`, window] as const,
    ),
  )("fits reference window %s as statsmodels and rational arithmetic do", (_, window: GoldenWindow) => {
    const { exact, statsmodels } = window.expected;
    const forecast = forecastOf(fed(window.t, window.y));
    expect(forecast.state).toBe("ready");
    expectClose(forecast.slopePerSecond, exact.slope_per_s, 1e-12, "slope");
    expectClose(forecast.value, exact.forecast_300s, 1e-12, "forecast");
    expectClose(forecast.residualDeviation, Math.sqrt(exact.resid_var), 1e-12, "residual deviation");
    // The reference's own quantile is off by up to 1.5e-9 (its scipy is old), so the width is compared without it.
    const quantile = studentT[window.t.length - 3] as number;
    const expectedError = (statsmodels.pi_upper - statsmodels.pi_lower) / 2 / statsmodels.t_crit;
    const halfWidth = (forecast.upper - forecast.lower) / 2;
    expectClose(halfWidth / quantile, expectedError, 1e-12, "standard error");
    expectClose(forecast.lower, statsmodels.pi_lower, 2e-9, "lower", halfWidth);
    expectClose(forecast.upper, statsmodels.pi_upper, 2e-9, "upper", halfWidth);
  });

  test.each(golden.degenerate.map((window) => [window.name, window] as const))(
    "fits the degenerate reference window %s",
    (_, window: DegenerateWindow) => {
      const forecast = forecastOf(fed(window.t, window.y));
      const { slope_per_s, forecast_300s } = window.expected;
      if (window.t.length < 3) {
        expect(forecast).toMatchObject({ state: "cold", value: window.y.at(-1), slopePerSecond: 0 });
        expect(forecast.upper - forecast.lower).toBe(200);
        return;
      }
      expectClose(forecast.slopePerSecond, slope_per_s as number, 1e-12, "slope");
      expectClose(forecast.value, forecast_300s as number, 1e-12, "forecast");
      expectClose(forecast.residualDeviation, 0, 1e-12, "residual deviation", 1);
      expectClose(forecast.lower, forecast.value, 1e-12, "lower");
      expectClose(forecast.upper, forecast.value, 1e-12, "upper");
    },
  );

  test.each([
    ["epoch seconds", 1.7e9, 0],
    ["epoch milliseconds", 1.7e12, 0],
    ["values offset by 1e9", 0, 1e9],
    ["epoch milliseconds and values offset by 1e12", 1.7e12, 1e12],
  ])("keeps 12 digits of the exact line with %s", (_, tOffset, yOffset) => {
    const times = range(50).map((i) => tOffset + i * 5);
    const values = range(50).map((i) => yOffset + i / 8 + ((i * 7) % 11) / 16);
    const forecast = forecastOf(fed(times, values));
    const exact = exactLine(times, values, forecast.targetSeconds);
    expectClose(forecast.slopePerSecond, exact.slopePerSecond, 1e-12, "slope");
    expectClose(forecast.value, exact.value, 1e-12, "forecast");
    expectClose(forecast.residualDeviation, Math.sqrt(exact.sumSquaredResidual / 48), 1e-12, "deviation");
  });
}

/** The forecast is for a time in the future, on real times, of the newest points only. */
export function looksAhead(fed: Feed): void {
  test("on a straight line forecasts the line 300 s after the newest point", () => {
    const forecast = forecastOf(
      fed(
        range(50).map((i) => i * 5),
        range(50).map((i) => 20 + i * 0.5),
      ),
    );
    expect(forecast.atSeconds).toBe(245);
    expect(forecast.targetSeconds).toBe(545);
    expectClose(forecast.value, 20 + 545 * 0.1, 1e-14, "forecast");
    expectClose(forecast.slopePerSecond, 0.1, 1e-14, "slope");
  });

  test("a window of 60 points at index 0..59 is forecast past its end, never at index 10 inside it", () => {
    const forecast = forecastOf(
      fed(
        range(60).map((i) => i * 30),
        range(60),
        { windowPoints: 60 },
      ),
    );
    expect(forecast.targetSeconds).toBeGreaterThan(forecast.atSeconds);
    expectClose(forecast.value, 69, 1e-14, "forecast");
    expect(forecast.value).not.toBeCloseTo(10, 0);
  });

  test("the horizon is the series' own and is measured from the newest point", () => {
    const forecast = forecastOf(
      fed(
        range(20).map((i) => 1000 + i),
        range(20),
        { horizonSeconds: 60 },
      ),
    );
    expect(forecast.targetSeconds).toBe(1079);
    expectClose(forecast.value, 79, 1e-13, "forecast");
  });

  test("fits against the real times when the steps are uneven", () => {
    const times = range(30).map((i) => i * 5 + (i > 15 ? 240 : 0));
    const forecast = forecastOf(
      fed(
        times,
        times.map((t) => 3 + t / 4),
      ),
    );
    expectClose(forecast.slopePerSecond, 0.25, 1e-13, "slope");
  });

  test("a full window forgets its oldest points: after a bend the line is the new one", () => {
    const times = range(80).map((i) => i * 5);
    const bent = times.map((_, i) => (i < 30 ? 90 : 10 + (i - 30)));
    const forecast = forecastOf(fed(times, bent, { windowPoints: 50 }));
    expect(forecast.points).toBe(50);
    expectClose(forecast.slopePerSecond, 0.2, 1e-12, "slope");
    expectClose(forecast.value, 10 + 49 + 60, 1e-12, "forecast");
  });

  test.each([3, 7, 64, 1023, 1024])(
    "a window of %i points holds exactly that many of the newest",
    (windowPoints) => {
      const count = windowPoints * 2 + 5;
      const times = range(count).map((i) => i * 2);
      const values = times.map((_, i) => (i * 37) % 101);
      const forecast = forecastOf(fed(times, values, { windowPoints }));
      const exact = exactLine(
        times.slice(-windowPoints),
        values.slice(-windowPoints),
        forecast.targetSeconds,
      );
      expect(forecast.points).toBe(windowPoints);
      expectClose(forecast.value, exact.value, 1e-10, "forecast", 100);
    },
  );
}
