/** A bounded window of points, oldest first from index `oldest`, in two parallel arrays. */
export class PointRing {
  readonly times: Float64Array;
  readonly values: Float64Array;
  oldest = 0;
  points = 0;

  constructor(readonly capacity: number) {
    this.times = new Float64Array(capacity);
    this.values = new Float64Array(capacity);
  }

  /** Adds a point; in a full window it takes the place of the oldest. */
  append(tSeconds: number, value: number): void {
    let index = this.oldest + this.points;
    if (index >= this.capacity) index -= this.capacity;
    this.times[index] = tSeconds;
    this.values[index] = value;
    if (this.points < this.capacity) this.points += 1;
    else this.oldest = this.oldest + 1 === this.capacity ? 0 : this.oldest + 1;
  }

  /** Time of the newest point. The window must not be empty. */
  newestSeconds(): number {
    let index = this.oldest + this.points - 1;
    if (index >= this.capacity) index -= this.capacity;
    return this.times[index] as number;
  }

  /** Forgets every point. */
  clear(): void {
    this.oldest = 0;
    this.points = 0;
  }
}
