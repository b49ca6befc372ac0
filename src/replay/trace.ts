/**
 * Reads recorded memory: CSV with a header, columns `t` (seconds) and `mem` (percent), and where it holds several
 * machines or stretches, `sys` and `seg`. Rows of different series may be mixed; within each, times rise.
 */
import { basename } from "node:path";
import { Fields, fieldText } from "./csv-fields.ts";
import { anyNumber, plainNumber } from "./csv-number.ts";
import { forEachLine } from "./file-lines.ts";
import { type Labels, LabelTable } from "./label-table.ts";
import { type TraceColumns, traceColumns } from "./trace-columns.ts";
import { shown, TraceError } from "./trace-error.ts";
import { GrowingSeries, type TraceSeries } from "./trace-series.ts";

export interface TraceOptions {
  /** What errors and the series call the file. Default: the path. */
  name?: string;
  /** Hears of the share of the file read so far, 0..1. */
  onRead?: (share: number) => void;
}

/** Bounds the memory that series of a few points each would take. */
const mostSeries = 100_000;
/** Points closer to each other than that are one: the forecast refuses them. */
const leastStepSeconds = 1e-6;

/** The series of a trace, in the order of their first rows. Throws a `TraceError` that names file, line and column. */
export function readTrace(path: string, { name = path, onRead }: TraceOptions = {}): TraceSeries[] {
  const reader = new TraceReader(name);
  forEachLine(path, name, (bytes, start, end, line) => reader.take(bytes, start, end, line), onRead);
  return reader.series();
}

class TraceReader {
  readonly #fields = new Fields();
  readonly #byLabels = new Map<string, GrowingSeries>();
  readonly #byBytes = new LabelTable<GrowingSeries>();
  readonly #labels: Labels = { firstStart: 0, firstEnd: 0, secondStart: 0, secondEnd: 0 };
  #columns: TraceColumns | null = null;
  #rows = 0;

  constructor(readonly file: string) {}

  take(bytes: Uint8Array, start: number, end: number, line: number): void {
    if (start === end) return;
    if (this.#columns === null) this.#requireText(bytes.subarray(start, end), line);
    const fields = this.#fields;
    if (!fields.split(bytes, start, end)) throw this.#brokenQuotes(line);
    if (this.#columns === null) {
      this.#columns = traceColumns(this.file, line, bytes, fields);
      return;
    }
    const columns = this.#columns;
    if (fields.count !== columns.names.length) throw this.#wrongCount(line, columns.names);
    const t = this.#number(bytes, columns.t, "t", line);
    const mem = this.#number(bytes, columns.mem, "mem", line);
    const series = this.#seriesOf(bytes, columns, line);
    if (!(t - series.lastSeconds >= leastStepSeconds)) throw this.#notRising(series, t, line);
    series.add(t, mem, line);
    this.#rows++;
  }

  series(): TraceSeries[] {
    if (this.#columns === null)
      throw new TraceError({ file: this.file }, "is empty: expected a header with t and mem, and rows");
    if (this.#rows === 0)
      throw new TraceError({ file: this.file, line: 2 }, "no row follows the header: there is nothing in it");
    return [...this.#byLabels.values()].map((series) => series.done(this.file));
  }

  #number(bytes: Uint8Array, field: number, column: string, line: number): number {
    const [start, end] = [this.#fields.start(field), this.#fields.end(field)];
    const plain = plainNumber(bytes, start, end);
    if (!Number.isNaN(plain)) return plain;
    const value = anyNumber(bytes, start, end);
    if (typeof value === "number") return value;
    throw new TraceError({ file: this.file, line, column }, value);
  }

  #seriesOf(bytes: Uint8Array, columns: TraceColumns, line: number): GrowingSeries {
    const labels = this.#labels;
    [labels.firstStart, labels.firstEnd] = this.#place(columns.sys);
    [labels.secondStart, labels.secondEnd] = this.#place(columns.seg);
    let series = this.#byBytes.get(bytes, labels);
    if (series !== undefined) return series;
    series = this.#seriesNamed(bytes, columns, line);
    this.#byBytes.put(bytes, labels, series);
    return series;
  }

  /** The series of the row's labels as text: the same for a label in other spelling, with spaces around it. */
  #seriesNamed(bytes: Uint8Array, { sys, seg }: TraceColumns, line: number): GrowingSeries {
    const label = (field: number, otherwise: string): string =>
      field < 0 ? otherwise : fieldText(bytes, ...this.#place(field));
    const sysLabel = label(sys, basename(this.file).replace(/\.csv$/i, ""));
    const segLabel = label(seg, "0");
    const key = JSON.stringify([sysLabel, segLabel]);
    const there = this.#byLabels.get(key);
    if (there !== undefined) return there;
    if (this.#byLabels.size === mostSeries) {
      const column = seg < 0 ? "sys" : "seg";
      throw new TraceError({ file: this.file, line, column }, `more than ${mostSeries} series`);
    }
    const series = new GrowingSeries(sysLabel, segLabel);
    this.#byLabels.set(key, series);
    return series;
  }

  #place(field: number): [start: number, end: number] {
    return field < 0 ? [0, 0] : [this.#fields.start(field), this.#fields.end(field)];
  }

  #requireText(header: Uint8Array, line: number): void {
    const odd = header.find((byte) => byte < 32 && byte !== 9);
    if (odd === undefined) return;
    const byte = `0x${odd.toString(16).padStart(2, "0")}`;
    throw new TraceError(
      { file: this.file, line },
      `is not text: byte ${byte} in the header; expected CSV in UTF-8`,
    );
  }

  #brokenQuotes(line: number): TraceError {
    const problem =
      this.#fields.problem === "unclosed-quote"
        ? "a quote is not closed on its line"
        : "text follows a closing quote";
    return new TraceError({ file: this.file, line }, `field ${this.#fields.count + 1}: ${problem}`);
  }

  #wrongCount(line: number, names: readonly string[]): TraceError {
    const { count } = this.#fields;
    const problem = `${count} ${count === 1 ? "field" : "fields"} where the header has ${names.length}`;
    const column = names[count];
    if (column === undefined) return new TraceError({ file: this.file, line }, problem);
    return new TraceError({ file: this.file, line, column }, `is missing: ${problem}`);
  }

  #notRising(series: GrowingSeries, t: number, line: number): TraceError {
    const relation = t < series.lastSeconds ? "is before" : "repeats";
    const labels = `sys ${shown(series.sys)}, seg ${shown(series.seg)}`;
    return new TraceError(
      { file: this.file, line, column: "t" },
      `${t} ${relation} ${series.lastSeconds}, the time of line ${series.line} in the same series (${labels}): within a series times must rise`,
    );
  }
}
