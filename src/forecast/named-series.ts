import type { Forecaster, Kernel, Series, SeriesOptions } from "./forecaster.ts";
import { resolveSeriesOptions } from "./series-options.ts";

/** A forecaster on `kernel`, whose limit bounds the names; `defaults` are the options of series that name none. */
export function createForecaster(kernel: Kernel, defaults: Partial<SeriesOptions> = {}): Forecaster {
  const seriesByName = new Map<string, Series>();

  const start = (name: string, options: Partial<SeriesOptions>): Series => {
    const resolved = resolveSeriesOptions({ ...defaults, ...options });
    seriesByName.get(name)?.dispose();
    seriesByName.delete(name);
    const series = kernel.createSeries(resolved);
    seriesByName.set(name, series);
    return series;
  };

  return {
    kernelName: kernel.name,
    track(name, options = {}) {
      start(name, options);
    },
    observe(name, tSeconds, value) {
      return (seriesByName.get(name) ?? start(name, {})).push(tSeconds, value);
    },
    forecast: (name) => seriesByName.get(name)?.forecast() ?? null,
    forecastValue: (name) => seriesByName.get(name)?.forecastValue() ?? null,
    refused: (name) => seriesByName.get(name)?.refused ?? null,
    names: () => [...seriesByName.keys()],
    restart(name) {
      seriesByName.get(name)?.reset();
    },
    forget(name) {
      seriesByName.get(name)?.dispose();
      seriesByName.delete(name);
    },
  };
}
