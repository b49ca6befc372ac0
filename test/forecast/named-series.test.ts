import { describe, expect, test } from "bun:test";
import { SeriesLimitError } from "../../src/forecast/forecaster.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { createForecaster } from "../../src/forecast/named-series.ts";

const forecaster = (seriesLimit = 2) =>
  createForecaster(createJsKernel({ seriesLimit }), { minPoints: 3, coldHalfWidth: 7 });

describe("named series", () => {
  test("starts a series with the defaults at its first point and keeps names apart", () => {
    const named = forecaster();
    expect(named.observe("memory", 0, 50)).toBe("accepted");
    expect(named.observe("cpu", 0, 5)).toBe("accepted");
    expect(named.forecast("memory")).toMatchObject({ value: 50, lower: 43, upper: 57 });
    expect(named.forecast("cpu")).toMatchObject({ value: 5 });
    expect(named.names()).toEqual(["memory", "cpu"]);
    expect(named.kernelName).toBe("js");
  });

  test("an unknown name has no forecast and no counts", () => {
    expect(forecaster().forecast("disk")).toBeNull();
    expect(forecaster().refused("disk")).toBeNull();
  });

  test("a tracked series has options of its own; tracking again starts afresh, at the limit too", () => {
    const named = forecaster(1);
    named.track("memory", { horizonSeconds: 60 });
    named.observe("memory", 10, 50);
    expect(named.forecast("memory")).toMatchObject({ targetSeconds: 70, lower: 43 });
    named.track("memory", { horizonSeconds: 30 });
    expect(named.forecast("memory")).toBeNull();
    expect(() => named.track("memory", { horizonSeconds: -1 })).toThrow(RangeError);
    named.observe("memory", 1, 50);
    expect(named.forecast("memory")).toMatchObject({ targetSeconds: 31 });
  });

  test("restart accepts an earlier time and keeps the counts", () => {
    const named = forecaster();
    named.observe("memory", 1000, 1);
    expect(named.observe("memory", 10, 1)).toBe("backward");
    named.restart("memory");
    expect(named.observe("memory", 10, 1)).toBe("accepted");
    expect(named.refused("memory")).toEqual({ notFinite: 0, repeated: 0, backward: 1 });
  });

  test("is bounded by the kernel, and forgetting a name makes room", () => {
    const named = forecaster(1);
    named.observe("memory", 0, 1);
    expect(() => named.observe("cpu", 0, 1)).toThrow(SeriesLimitError);
    named.forget("memory");
    expect(named.observe("cpu", 0, 1)).toBe("accepted");
    expect(named.names()).toEqual(["cpu"]);
  });
});
