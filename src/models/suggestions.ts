/** What a person could do so that a better model fits. Pure. */

import { formatBytes } from "../config/units.ts";
import { bitsPerWeight } from "./gguf-types.ts";
import type { ModelStanding } from "./standing.ts";

/** Whoever else uses the host's memory. */
export interface MemoryUser {
  name: string;
  kind: "plugin" | "process";
  bytes: number;
}

export type Suggestion =
  /** Ending these lets the model fit. */
  | { kind: "close"; model: string; close: readonly string[]; freesBytes: number; text: string }
  /** The same model in fewer bits; `enough`: it would fit then, nothing else changed. */
  | { kind: "quantise"; model: string; savesBytes: number; enough: boolean; text: string };

/** More to close is no advice any more. */
const mostClosed = 3;
/** Q4_K, the usual four-bit mix: 144 bytes for 256 weights. */
const fourBits = 4.5;
/** A saving under this is not worth a download. */
const leastSavedBytes = 64 * 2 ** 20;

/** For the best model that memory keeps from being loaded; none when the best is loaded, and then nobody's memory is read. */
export function suggestions(
  standings: readonly ModelStanding[],
  users: () => readonly MemoryUser[],
): readonly Suggestion[] {
  const wanted = standings.find(({ facts }) => !facts.unloadedByPerson);
  if (!wanted?.missingBytes) return [];
  const { facts, missingBytes } = wanted;
  return [...closing(facts.name, missingBytes, users()), ...quantising(wanted, missingBytes)];
}

/** The smallest that is enough alone; else the largest together. */
function closing(model: string, missing: number, users: readonly MemoryUser[]): Suggestion[] {
  const byBytes = users.toSorted((one, other) => other.bytes - one.bytes);
  const alone = byBytes.findLast(({ bytes }) => bytes > missing);
  const close: MemoryUser[] = [];
  if (alone) close.push(alone);
  else
    for (const user of byBytes.slice(0, mostClosed)) {
      close.push(user);
      if (bytesOf(close) > missing) break;
    }
  const freesBytes = bytesOf(close);
  if (freesBytes <= missing) return [];
  const names = close.map(({ name }) => name);
  const text = `close ${names.join(" and ")}: frees ${formatBytes(freesBytes)}, and ${model} fits`;
  return [{ kind: "close", model, close: names, freesBytes, text }];
}

const bytesOf = (users: readonly MemoryUser[]): number => users.reduce((sum, { bytes }) => sum + bytes, 0);

function quantising({ facts, quantisation }: ModelStanding, missing: number): Suggestion[] {
  const bits = quantisation === null ? null : bitsPerWeight(quantisation);
  const { weights } = facts.bytes;
  if (bits === null || weights === null || bits <= fourBits) return [];
  const savesBytes = Math.round(weights * (1 - fourBits / bits));
  if (savesBytes < leastSavedBytes) return [];
  const enough = savesBytes > missing;
  const text = `use a 4-bit build of ${facts.name}: saves ${formatBytes(savesBytes)}${enough ? ", and it fits" : ""}`;
  return [{ kind: "quantise", model: facts.name, savesBytes, enough, text }];
}
