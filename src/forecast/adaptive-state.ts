/** An adaptive forecaster's memory as bytes: one line of JSON that says what follows, then the cells, little-endian. */
import { CELLS, LAYOUT_VERSION } from "../../assembly/adaptive/layout.ts";

/** What the state is of; a state of something else is of no use. */
export interface StateSubject {
  horizonSeconds: number;
  /** Its numbers are percent of this. */
  budgetBytes: number;
}

export interface SavedState extends StateSubject {
  savedAtMs: number;
  cells: Float64Array;
}

/** Why a state cannot be taken over: a sentence for the record. */
export interface StateRefusal {
  refusedBecause: string;
}

const format = "conductor-forecast";
/** The header is far shorter; what is longer is no state. */
const mostHeaderBytes = 1_024;

interface Header extends StateSubject {
  format: string;
  version: number;
  cells: number;
  savedAtMs: number;
  crc32: number;
}

export function encodeState({ cells, ...rest }: SavedState): Uint8Array {
  const body = new Uint8Array(cells.length * 8);
  const view = new DataView(body.buffer);
  cells.forEach((value, i) => {
    view.setFloat64(i * 8, value, true);
  });
  const header: Header = {
    format,
    version: LAYOUT_VERSION,
    cells: cells.length,
    ...rest,
    crc32: Bun.hash.crc32(body),
  };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

/** Reads a state of `subject`; anything that is not wholly one is refused with the reason. */
export function decodeState(bytes: Uint8Array, subject: StateSubject): SavedState | StateRefusal {
  const header = headerOf(bytes);
  if (header === null) return { refusedBecause: "it is not a forecast's state" };
  if (header.version !== LAYOUT_VERSION)
    return { refusedBecause: `it is of version ${header.version}, not ${LAYOUT_VERSION}` };
  if (header.horizonSeconds !== subject.horizonSeconds)
    return { refusedBecause: `its horizon is ${header.horizonSeconds} s, not ${subject.horizonSeconds}` };
  if (header.budgetBytes !== subject.budgetBytes)
    return { refusedBecause: `its budget is ${header.budgetBytes} bytes, not ${subject.budgetBytes}` };
  const body = bytes.subarray(bytes.indexOf(newline) + 1);
  if (header.cells !== CELLS || body.length !== CELLS * 8)
    return { refusedBecause: `it holds ${body.length} bytes, not ${CELLS * 8}` };
  if (Bun.hash.crc32(body) !== header.crc32) return { refusedBecause: "its checksum does not match" };
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const cells = Float64Array.from({ length: CELLS }, (_, i) => view.getFloat64(i * 8, true));
  if (!cells.every(Number.isFinite)) return { refusedBecause: "it holds numbers that are not finite" };
  return { ...subject, savedAtMs: header.savedAtMs, cells };
}

const newline = 10;

function headerOf(bytes: Uint8Array): Header | null {
  const end = bytes.subarray(0, mostHeaderBytes).indexOf(newline);
  if (end < 0) return null;
  try {
    const header = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString()) as Header | null;
    return header?.format === format && typeof header.savedAtMs === "number" ? header : null;
  } catch {
    // What is no JSON is no header.
    return null;
  }
}
