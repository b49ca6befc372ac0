/** The forecast of a status or a decision, as the server answers it. */
export interface ForecastView {
  state: string;
  smoothedRatio: number;
  lowerRatio: number;
  upperRatio: number;
  /** Absent in decisions of before it was kept. */
  method?: string | undefined;
  calibration?: string | null | undefined;
}

/** What the forecast is and how far its interval can be trusted: "ready, adaptive, calibrated". */
export const trustOf = ({ state, method, calibration }: ForecastView): string =>
  [state, method, calibration].filter((part) => part).join(", ");
