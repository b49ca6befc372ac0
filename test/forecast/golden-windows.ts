import { existsSync } from "node:fs";
import { join } from "node:path";

const goldenFolder = join(import.meta.dir, "../../../shared/golden");

/** A window with the fits of sklearn, statsmodels and rational arithmetic. */
export interface GoldenWindow {
  id: number;
  source: string;
  t: number[];
  y: number[];
  expected: {
    statsmodels: { pi_lower: number; pi_upper: number; t_crit: number };
    exact: { slope_per_s: number; forecast_300s: number; sse: number; resid_var: number };
  };
}

/** A window on which a fit is not what it usually is. */
export interface DegenerateWindow {
  name: string;
  t: number[];
  y: number[];
  expected: { slope_per_s: number | null; forecast_300s: number | null; resid_std?: number | null };
}

/** The reference windows. Throws, with where they were looked for, when they are not there. */
export async function goldenWindows(): Promise<{ windows: GoldenWindow[]; degenerate: DegenerateWindow[] }> {
  return await goldenFile("ols.json");
}

/** The reference quantiles of Student's t, from 1 degree of freedom on. Throws when they are not there. */
export async function goldenStudentT(): Promise<number[]> {
  return await goldenFile("student-t.json");
}

async function goldenFile<T>(name: string): Promise<T> {
  const path = join(goldenFolder, name);
  if (!existsSync(path)) {
    throw new Error(`the reference data is missing: expected ${path}, in shared/ beside the checkout`);
  }
  return await Bun.file(path).json();
}
