import { MAX_DEGREES_OF_FREEDOM, STUDENT_T_OFFSET } from "./layout";

/** The 0.975 quantile of Student's t, from the table that the host wrote; degrees outside it are clamped. */
export function studentT975(degreesOfFreedom: i32): f64 {
  const row = min(max(degreesOfFreedom, 1), MAX_DEGREES_OF_FREEDOM) - 1;
  return load<f64>(STUDENT_T_OFFSET + ((<usize>row) << 3));
}
