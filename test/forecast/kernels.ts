import type { Forecast, Kernel, Series, SeriesOptions } from "../../src/forecast/forecaster.ts";
import { createJsKernel } from "../../src/forecast/js-kernel.ts";
import { readEmbeddedModule } from "../../src/forecast/load-kernel.ts";
import { createWasmKernel } from "../../src/forecast/wasm-kernel.ts";

/** Both implementations; the WASM one as built, without the fallback. */
export async function bothKernels(seriesLimit = 256): Promise<Kernel[]> {
  return [
    createJsKernel({ seriesLimit }),
    await createWasmKernel(await readEmbeddedModule(), { seriesLimit }),
  ];
}

/** A series that was given every point; all must be accepted. */
export function seriesOf(
  kernel: Kernel,
  times: readonly number[],
  values: readonly number[],
  options: Partial<SeriesOptions> = {},
): Series {
  const series = kernel.createSeries(options);
  times.forEach((tSeconds, i) => {
    const result = series.push(tSeconds, values[i] as number);
    if (result !== "accepted") throw new Error(`point ${i} at ${tSeconds} was refused: ${result}`);
  });
  return series;
}

/** The forecast of a series that must have one. */
export function forecastOf(series: Series): Forecast {
  const forecast = series.forecast();
  if (!forecast) throw new Error("the series has no forecast");
  return forecast;
}
