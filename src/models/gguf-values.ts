/** The key-value pairs at the head of a GGUF: those that are wanted are kept, the rest is passed over. */

import { type GgufCursor, garbage } from "./gguf-bytes.ts";

/** A value that is kept. Of lists, only those of numbers, at most `mostListed`. */
export type GgufValue = string | number | boolean | number[];

const mostListed = 4_096;
const text = 8;
const list = 9;

/** Bytes of a value by its type's number in the file. */
const widths: Readonly<Record<number, number>> = {
  ...{ 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1 },
  ...{ 10: 8, 11: 8, 12: 8 },
};

/** Readers in the order of the types' numbers, where they are scalar. */
const readers: Readonly<Record<number, (window: DataView, at: number) => number | boolean>> = {
  0: (window, at) => window.getUint8(at),
  1: (window, at) => window.getInt8(at),
  2: (window, at) => window.getUint16(at, true),
  3: (window, at) => window.getInt16(at, true),
  4: (window, at) => window.getUint32(at, true),
  5: (window, at) => window.getInt32(at, true),
  6: (window, at) => window.getFloat32(at, true),
  7: (window, at) => window.getUint8(at) !== 0,
  10: (window, at) => Number(window.getBigUint64(at, true)),
  11: (window, at) => Number(window.getBigInt64(at, true)),
  12: (window, at) => window.getFloat64(at, true),
};

/** The value of `key`, of the type with this number; undefined when it is passed over. Throws EngineError for garbage. */
export async function readValue(
  cursor: GgufCursor,
  type: number,
  key: string,
  wanted: boolean,
): Promise<GgufValue | undefined> {
  if (type === text) {
    if (wanted) return cursor.text(key);
    await cursor.skipTexts(1, key);
    return undefined;
  }
  if (type === list) return readList(cursor, key, wanted);
  const [width, read] = [widths[type], readers[type]];
  if (width === undefined || read === undefined) throw garbage(`${key} has the unknown type ${type}`);
  return cursor.take(width, key, read);
}

async function readList(cursor: GgufCursor, key: string, wanted: boolean): Promise<number[] | undefined> {
  const type = await cursor.uint32(key);
  const count = await cursor.uint64(key);
  if (type === text) {
    if (count * 8 > cursor.left) throw garbage(`${key} has ${count} texts`);
    await cursor.skipTexts(count, key);
    return undefined;
  }
  const [width, read] = [widths[type], readers[type]];
  if (width === undefined || read === undefined)
    throw garbage(`${key} is a list of the unknown type ${type}`);
  if (!wanted || count > mostListed) {
    await cursor.skip(count * width, key);
    return undefined;
  }
  const values: number[] = [];
  for (let index = 0; index < count; index++) values.push(Number(await cursor.take(width, key, read)));
  return values;
}
