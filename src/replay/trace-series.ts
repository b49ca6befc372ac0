/** Memory over time on one machine, without a break: what a forecast may be made from. */
export interface TraceSeries {
  readonly file: string;
  /** The machine; the file's name where the trace has no such column. */
  readonly sys: string;
  /** The stretch without gaps; "0" where the trace has no such column. */
  readonly seg: string;
  /** Rising. */
  readonly tSeconds: Float64Array;
  readonly memPercent: Float64Array;
}

const firstCapacity = 64;

/** A series while its rows come in. */
export class GrowingSeries {
  #tSeconds = new Float64Array(firstCapacity);
  #memPercent = new Float64Array(firstCapacity);
  #points = 0;
  /** The line of the newest point. */
  line = 0;

  constructor(
    readonly sys: string,
    readonly seg: string,
  ) {}

  /** Time of the newest point; -Infinity before the first. */
  get lastSeconds(): number {
    return this.#points === 0 ? Number.NEGATIVE_INFINITY : (this.#tSeconds[this.#points - 1] as number);
  }

  add(tSeconds: number, memPercent: number, line: number): void {
    if (this.#points === this.#tSeconds.length) {
      this.#tSeconds = doubled(this.#tSeconds);
      this.#memPercent = doubled(this.#memPercent);
    }
    this.#tSeconds[this.#points] = tSeconds;
    this.#memPercent[this.#points++] = memPercent;
    this.line = line;
  }

  done(file: string): TraceSeries {
    return {
      file,
      sys: this.sys,
      seg: this.seg,
      tSeconds: this.#tSeconds.subarray(0, this.#points),
      memPercent: this.#memPercent.subarray(0, this.#points),
    };
  }
}

function doubled(old: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(old.length * 2);
  larger.set(old);
  return larger;
}
