/** A recorded database: its decisions made again, and its hosts. */

import { resolve } from "node:path";
import { type Again, decideAgain } from "../replay/decide-again.ts";
import { type RecordedHosts, type Recording, recordedHosts } from "../replay/recorded-hosts.ts";
import type { Policy } from "../scaler/situation.ts";
import { RecordedDatabase } from "../storage/recorded.ts";
import type { Invocation } from "./command.ts";
import type { PercentLine } from "./percent-line.ts";

/** What became of the recorded decisions. */
export interface DecidedAgain {
  decisions: number;
  reproduced: number;
  /** The first of those that came out otherwise, at most `mostShown`, and how many there are. */
  different: {
    id: number;
    at: string;
    differences: Extract<Again, { outcome: "different" }>["differences"];
  }[];
  differentCount: number;
  /** Those that cannot be made again, by reason. */
  unusable: Record<string, number>;
}

export interface ReadDatabase {
  again: DecidedAgain;
  hosts: RecordedHosts;
  /** Of the newest decision that tells it; null without one. */
  policy: Policy | null;
}

const mostShown = 20;

/** Throws a StorageError: missing, foreign, of a newer version, corrupt. */
export function readDatabase({ folder }: Invocation, name: string, progress: PercentLine): ReadDatabase {
  const database = new RecordedDatabase(resolve(folder, name));
  try {
    progress.show(`reading ${name}`, 0);
    const again: DecidedAgain = {
      decisions: 0,
      reproduced: 0,
      different: [],
      differentCount: 0,
      unusable: {},
    };
    let newest: string | null = null;
    for (const decision of database.decisions()) {
      count(again, decision.id, decision.atMs, decideAgain(decision));
      newest = decision.inputs;
      progress.show(`deciding again (${again.decisions})`, 0);
    }
    const { policy, known } = inputsOf(newest);
    const hosts = recordedHosts({ samples: database.samples(), footprints: database.footprints(), known });
    return { again, hosts, policy };
  } finally {
    database.close();
  }
}

function count(to: DecidedAgain, id: number, atMs: number, again: Again): void {
  to.decisions++;
  if (again.outcome === "same") to.reproduced++;
  else if (again.outcome === "unusable") to.unusable[again.because] = (to.unusable[again.because] ?? 0) + 1;
  else {
    to.differentCount++;
    const { differences } = again;
    if (to.different.length < mostShown)
      to.different.push({ id, at: new Date(atMs).toISOString(), differences });
  }
}

function inputsOf(text: string | null): { policy: Policy | null; known: Recording["known"] } {
  const inputs = text === null ? null : parsed(text);
  return { policy: inputs?.thresholds ?? null, known: inputs?.plugins ?? [] };
}

function parsed(text: string): { thresholds?: Policy; plugins?: Recording["known"] } | null {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
