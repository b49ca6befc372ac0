import { type Fields, fieldText } from "./csv-fields.ts";
import { shown, TraceError } from "./trace-error.ts";

/** Which field of a row holds what; -1 for a column that the trace does not have. */
export interface TraceColumns {
  readonly names: readonly string[];
  readonly t: number;
  readonly mem: number;
  readonly sys: number;
  readonly seg: number;
}

const mostShown = 12;

/** Finds the columns in the header's fields. Throws a `TraceError` when `t` or `mem` is missing or a name comes twice. */
export function traceColumns(file: string, line: number, bytes: Uint8Array, fields: Fields): TraceColumns {
  const names = Array.from({ length: fields.count }, (_, i) =>
    fieldText(bytes, fields.start(i), fields.end(i)),
  );
  const place = { file, line };
  const find = (name: string): number => {
    const at = names.indexOf(name);
    if (at >= 0 && names.indexOf(name, at + 1) >= 0)
      throw new TraceError({ ...place, column: name }, "appears twice: rename one");
    return at;
  };
  const columns = { names, t: find("t"), mem: find("mem"), sys: find("sys"), seg: find("seg") };
  const missing = (["t", "mem"] as const).filter((name) => columns[name] < 0);
  if (missing.length === 0) return columns;
  const there = names.slice(0, mostShown).map(shown).join(", ");
  const more = names.length > mostShown ? ` and ${names.length - mostShown} more` : "";
  const separator = names.length === 1 && /[;\t]/.test(names[0] ?? "") ? "; separate columns by commas" : "";
  throw new TraceError(
    place,
    `no column ${missing.join(" and no column ")}; the header has ${there}${more}${separator}: it needs t (seconds) and mem (percent), and may have sys and seg`,
  );
}
