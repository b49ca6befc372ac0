/** A forecast as the scaler sees it, as every answer of its routes writes it. */

import type { ForecastFacts } from "../scaler/situation.ts";
import { isoTime } from "./services.ts";

export const forecastView = (forecast: ForecastFacts | null) =>
  forecast && { ...forecast, atMs: undefined, at: isoTime(forecast.atMs) };
