/**
 * When failures open a breaker. Each failure in a row counts for 1 / threshold of its kind, and the row is too long
 * when that comes to 1: three of a kind with threshold 3, or one with 3 and seven with 10 (1/3 + 7/10). So kinds that
 * weigh differently need not be kept apart, and a mixed row opens no later than the worst kind of it alone would.
 */

/** timeout: no answer in time. error: an answer that is an error, or none. crash: its process ended or is not reached. */
export type FailureClass = "timeout" | "error" | "crash";

/** Failures in a row of one kind alone that open it; a kind that is absent has the threshold for all. */
export type Thresholds = Readonly<Partial<Record<FailureClass, number | undefined>>>;

/** A row's share of 1 is a sum of fractions: 3 · (1/3) may come to a little less than 1. */
const rounding = 1e-9;

const classes: Readonly<Record<string, FailureClass>> = {
  timeout: "timeout",
  "plugin-error": "error",
  "bad-answer": "error",
  crash: "crash",
  unavailable: "crash",
};

export class TripRule {
  #inARow = 0;
  #share = 0;

  constructor(
    readonly failures: number,
    readonly own: Thresholds = {},
  ) {}

  /** Failures since the last success. */
  get inARow(): number {
    return this.#inARow;
  }

  /** Counts one; true when that is enough to open. */
  failure(kind: string): boolean {
    this.#inARow++;
    this.#share += 1 / this.#thresholdOf(kind);
    return this.#share > 1 - rounding;
  }

  success(): void {
    this.#inARow = 0;
    this.#share = 0;
  }

  /** Goes on from `inARow` failures whose kinds are not known any more. */
  resume(inARow: number): void {
    this.#inARow = inARow;
    this.#share = inARow / this.failures;
  }

  #thresholdOf(kind: string): number {
    const found = classes[kind];
    return (found && this.own[found]) ?? this.failures;
  }
}
