/** What the scaler would do if it acted: each wish recorded once, and how it ended. */

import { formatDuration } from "../config/units.ts";
import type { DecisionRecord, Recorder } from "./ports.ts";
import type { Verdict } from "./situation.ts";
import { type Ended, keyOf, Standing } from "./standing.ts";

export class Wishes {
  readonly #standing: Standing;

  constructor(
    recorder: Pick<Recorder, "observed">,
    /** Records and announces the decision; yields its id. */
    private readonly open: (record: DecisionRecord) => number,
  ) {
    this.#standing = new Standing((id, ended) =>
      recorder.observed(id, { untilMs: ended.untilMs, note: noteOf(ended) }),
    );
  }

  /** The wish that stands: its decision, and since when. */
  get current(): { decisionId: number; sinceMs: number } | null {
    const { current } = this.#standing;
    return current && { decisionId: current.id, sinceMs: current.sinceMs };
  }

  /** A verdict that is not carried out. */
  follow(verdict: Verdict, nowMs: number, record: () => DecisionRecord): void {
    const key = verdict.actions.length === 0 ? null : keyOf(verdict);
    this.#standing.follow(key, nowMs, () => this.open({ ...record(), observed: true }));
  }

  /** A reading at which nothing is wished. */
  none(nowMs: number): void {
    this.#standing.follow(null, nowMs, neverBegun);
  }

  /** Nothing is wished any more: conductor acts again, or ends. */
  close(): void {
    this.#standing.close();
  }
}

/** Without a key nothing begins. */
function neverBegun(): never {
  throw new Error("a wish began without a key");
}

function noteOf({ sinceMs, untilMs, became }: Ended): string {
  const lasted = `wished for ${formatDuration(Math.max(0, untilMs - sinceMs))}`;
  return became === null ? `${lasted}, then no more` : `${lasted}, then "${became}"`;
}
