/** Small dense systems, solved the plain way, to check what is computed recursively. */

/** Solves matrix × x = vector by elimination with partial pivoting. The matrix must not be singular. */
function solve(matrix: readonly (readonly number[])[], vector: readonly number[]): number[] {
  const n = vector.length;
  const rows = matrix.map((row, i) => [...row, vector[i] as number]);
  const cell = (i: number, j: number): number => rows[i]?.[j] as number;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(cell(i, k)) > Math.abs(cell(pivot, k))) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot] as number[], rows[k] as number[]];
    for (let i = k + 1; i < n; i++) {
      const factor = cell(i, k) / cell(k, k);
      for (let j = k; j <= n; j++) (rows[i] as number[])[j] = cell(i, j) - factor * cell(k, j);
    }
  }
  const x = new Array<number>(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    let sum = cell(i, n);
    for (let j = i + 1; j < n; j++) sum -= cell(i, j) * (x[j] as number);
    x[i] = sum / cell(i, i);
  }
  return x;
}

/** The lower triangle whose product with its transpose is `matrix`; null where that is not positive definite. */
export function cholesky(matrix: readonly (readonly number[])[]): number[][] | null {
  const lower = matrix.map((row) => row.map(() => 0));
  const cell = (i: number, j: number): number => lower[i]?.[j] as number;
  for (let i = 0; i < matrix.length; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i]?.[j] as number;
      for (let k = 0; k < j; k++) sum -= cell(i, k) * cell(j, k);
      if (i === j && !(sum > 0)) return null;
      (lower[i] as number[])[j] = i === j ? Math.sqrt(sum) : sum / cell(j, j);
    }
  return lower;
}

/** The w that minimises Σ λ^age (target - w'x)² / overlap + λ^rows ridge |w|². */
export function batchWeights(
  rows: number[][],
  targets: number[],
  forgetting: number,
  ridge: number,
  overlap: number,
) {
  const n = rows[0]?.length ?? 0;
  const matrix = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  const vector = new Array<number>(n).fill(0);
  rows.forEach((row, k) => {
    const weight = forgetting ** (rows.length - 1 - k) / overlap;
    for (let i = 0; i < n; i++) {
      const scaled = weight * (row[i] as number);
      vector[i] = (vector[i] as number) + scaled * (targets[k] as number);
      for (let j = 0; j < n; j++)
        (matrix[i] as number[])[j] = (matrix[i]?.[j] as number) + scaled * (row[j] as number);
    }
  });
  for (let i = 0; i < n; i++)
    (matrix[i] as number[])[i] = (matrix[i]?.[i] as number) + ridge * forgetting ** rows.length;
  return solve(matrix, vector);
}
