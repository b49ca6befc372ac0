/** The client's own book: what it asked, what came of each, and whether that fits what the plugins carried out. */

import { table } from "../../src/cli/table.ts";
import type { SeededRandom } from "../forecast/seeded-random.ts";
import { type Platform, platforms } from "./chaos-plugins.ts";
import type { LoopAnswer } from "./open-loop.ts";

interface Asked {
  platform: Platform;
  /** In the payload: the same for those that share a key. */
  id: string;
  key: string | null;
}

/** A dead letter, as the API shows it. */
export interface KeptLetter {
  id: number;
  state: string;
  stateReason: string | null;
  payload: { id: string };
  attempts: { outcome: string }[];
  result: unknown;
}

interface AnswerBody {
  code?: string;
  degraded?: boolean;
  requestId?: string;
  result?: { id: string; answer: string };
  deadLetter?: { id: number };
  attempts?: { outcome: string }[];
}

const outcomes = ["answered", "fallback", "refused", "letter answered", "waiting", "poison", "lost"] as const;
type OutcomeName = (typeof outcomes)[number];

interface Entry extends Asked {
  outcome: OutcomeName;
  answer: LoopAnswer;
  body: AnswerBody;
}

/** Requests with a key; of those, how many repeat an earlier one. */
const keyedShare = 0.4;
const repeatedShare = 0.35;
/** A repetition is of one of so many last ones: under way still, or answered long ago. */
const mostRemembered = 60;

/** After these the plugin has not carried it out. */
const notCarriedOut = new Set(
  "plugin-error overloaded breaker-open disabled stopped starting shed failed".split(" "),
);

export class ChaosLedger {
  readonly #asked = new Map<string, Asked>();
  readonly #keyed: Asked[] = [];
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** The body of the next request, entered under `loopId`. */
  next(loopId: string): unknown {
    const asked = this.#plan(loopId);
    this.#asked.set(loopId, asked);
    const { platform, id, key } = asked;
    return { platform, payload: { id }, ...(key === null ? {} : { idempotencyKey: key }) };
  }

  #plan(loopId: string): Asked {
    const random = this.#random;
    const platform = platforms[this.#asked.size % platforms.length] ?? platforms[0];
    if (random.unit() >= keyedShare) return { platform, id: loopId, key: null };
    if (this.#keyed.length > 0 && random.unit() < repeatedShare) return random.pick(this.#keyed);
    const fresh = { platform, id: loopId, key: `key-${loopId}` };
    this.#keyed.push(fresh);
    if (this.#keyed.length > mostRemembered) this.#keyed.shift();
    return fresh;
  }

  /** Every request with what came of it. */
  entries(answers: readonly LoopAnswer[], letters: ReadonlyMap<number, KeptLetter>): Entry[] {
    return answers.map((answer) => {
      const asked = this.#asked.get(answer.id);
      if (!asked) throw new Error(`${answer.id} was never asked`);
      const body = bodyOf(answer);
      return { ...asked, answer, body, outcome: outcomeOf(asked, answer, body, letters) };
    });
  }
}

function bodyOf({ status, body }: LoopAnswer): AnswerBody {
  return status === 0 ? {} : (JSON.parse(body) as AnswerBody);
}

function outcomeOf(
  asked: Asked,
  { status }: LoopAnswer,
  body: AnswerBody,
  letters: ReadonlyMap<number, KeptLetter>,
): OutcomeName {
  if (status === 200 && body.result?.id === asked.id) return body.degraded ? "fallback" : "answered";
  if (status >= 400 && body.code !== undefined) return "refused";
  const letter = status === 202 ? letters.get(body.deadLetter?.id ?? -1) : undefined;
  if (letter?.payload.id !== asked.id) return "lost";
  if (letter.state === "answered") return "letter answered";
  return letter.state === "waiting" || letter.state === "poison" ? letter.state : "lost";
}

/** Lost requests, answers beyond the first of a connection's request, and keys with two answers. */
export function wrongIn(entries: readonly Entry[]): string[] {
  const wrong = entries.flatMap(({ outcome, answer, id }) => [
    ...(outcome === "lost" ? [`${id}: lost: ${answer.status} ${answer.body.slice(0, 300)}`] : []),
    ...(answer.more > 0 ? [`${id}: ${answer.more} answers more`] : []),
  ]);
  const byKey = new Map<string, string>();
  for (const { key, body, id } of entries) {
    const given = body.result?.answer ?? (body.deadLetter && `dead letter ${body.deadLetter.id}`);
    if (key === null || given === undefined) continue;
    const first = byKey.get(key) ?? given;
    byKey.set(key, first);
    if (first !== given) wrong.push(`${id}: one key, two answers: ${first} and ${given}`);
  }
  return wrong;
}

/**
 * Requests that plugins carried out more often than they were sent, or were never carried out and yet answered. A try
 * that timed out or crashed may have been carried out: each such one allows for one more.
 */
export function miscounted(
  entries: readonly Entry[],
  letters: ReadonlyMap<number, KeptLetter>,
  carriedOut: ReadonlyMap<string, number>,
): string[] {
  const sent = new Map<string, number>();
  const answered = new Set<string>();
  const seen = new Set<string>();
  const count = (id: string, attempts: readonly { outcome: string }[]) => {
    const tries = attempts.filter(({ outcome }) => !notCarriedOut.has(outcome)).length;
    sent.set(id, (sent.get(id) ?? 0) + tries);
    if (attempts.some(({ outcome }) => outcome === "answered")) answered.add(id);
  };
  // Those of a dead letter come with the letter, the first ones included.
  for (const { id, attempts, payload } of letters.values()) {
    seen.add(`letter ${id}`);
    count(payload.id, attempts);
  }
  for (const { id, body } of entries) {
    const whose = body.deadLetter ? `letter ${body.deadLetter.id}` : (body.requestId ?? "");
    if (!seen.has(whose)) count(id, body.attempts ?? []);
    seen.add(whose);
  }
  const tooOften = [...carriedOut].filter(([id, times]) => times > (sent.get(id) ?? 0));
  return [
    ...tooOften.map(([id, times]) => `${id}: carried out ${times} times, sent ${sent.get(id) ?? 0}`),
    ...[...answered].filter((id) => !carriedOut.has(id)).map((id) => `${id}: answered, never carried out`),
  ];
}

const at = (share: number, sorted: readonly number[]): string =>
  (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(1);

/** By platform: how many ended how, and how long an answer took. */
export function outcomeTable(entries: readonly Entry[]): string {
  const rows = platforms.map((platform) => {
    const own = entries.filter((entry) => entry.platform === platform);
    const counts = outcomes.map((name) => own.filter(({ outcome }) => outcome === name).length);
    const timesMs = own.map(({ answer }) => answer.latencyMs).sort((a, b) => a - b);
    return [platform, String(own.length), ...counts.map(String), at(0.5, timesMs), at(0.99, timesMs)];
  });
  return table([
    ["PLATFORM", "REQUESTS", ...outcomes.map((name) => name.toUpperCase()), "P50 ms", "P99 ms"],
    ...rows,
  ]);
}

/** Why requests were refused, by platform: the codes, each with how often. */
export function refusals(entries: readonly Entry[]): string {
  const refused = entries.filter(({ outcome }) => outcome === "refused");
  return [...Map.groupBy(refused, ({ platform, body }) => `${platform} ${body.code}`)]
    .map(([what, those]) => `${what} ${those.length}`)
    .sort()
    .join(", ");
}
