/** What is kept of the breakers, and what is put on record of their moves. */

import { expect, test } from "bun:test";
import { VirtualClock } from "../../src/clock.ts";
import type { BreakerMove, StoredBreaker } from "../../src/health/breaker-state.ts";
import { Breakers } from "../../src/health/breakers.ts";
import { Recorder } from "./recorder.ts";

const resetMs = 30_000;

function recorded() {
  const clock = new VirtualClock(1_000_000);
  const events = new Recorder();
  const moves: BreakerMove[] = [];
  const kept = new Map<string, StoredBreaker>();
  const subject = new Breakers({
    clock,
    events,
    failures: 3,
    resetMs,
    recorder: {
      keep: (platform, stored) => void kept.set(platform, stored),
      moved: (move) => void moves.push(move),
      forget: (platform) => void kept.delete(platform),
    },
  });
  return { clock, events, moves, kept, subject };
}

function failThrice(subject: Breakers): void {
  for (let i = 0; i < 3; i++) {
    const answer = subject.acquire("voice");
    if (answer.permitted) answer.permit.failure("timeout");
  }
}

const short = ({ from, to, movedBy }: BreakerMove) => `${from}>${to} by ${movedBy}`;

test("each move is on record with who made it, and requests alone are not", async () => {
  const { clock, moves, kept, subject } = recorded();
  subject.acquire("voice");
  expect([moves.length, kept.size]).toEqual([0, 0]);
  failThrice(subject);
  await clock.advance(resetMs);
  const probe = subject.acquire("voice");
  if (probe.permitted) probe.permit.success();
  subject.isolate("voice", "repairs");
  subject.close("voice", "repaired");
  subject.close("voice", "to be sure");
  expect(moves.map(short)).toEqual([
    "closed>open by requests",
    "open>half-open by requests",
    "half-open>closed by requests",
    "closed>open by person",
    "open>closed by person",
    "closed>closed by person",
  ]);
  expect(moves[3]).toMatchObject({ atMs: clock.nowMs(), platform: "voice", reason: "isolated: repairs" });
});

test("probing what a person opened is no second order", async () => {
  const { clock, moves, subject } = recorded();
  subject.open("voice", "a test");
  await clock.advance(resetMs);
  subject.acquire("voice");
  expect(moves.map(short)).toEqual(["closed>open by person", "open>half-open by person"]);
});

test("what was kept comes back as it was, is announced once, and is not put on record again", async () => {
  const first = recorded();
  failThrice(first.subject);
  first.subject.isolate("discord", "hold");
  first.subject.stop();
  const second = recorded();
  for (const platform of ["voice", "discord"]) second.subject.get(platform);
  expect(second.subject.restore(JSON.parse(JSON.stringify(Object.fromEntries(first.kept))))).toEqual([]);
  expect(second.events.moves()).toEqual(["voice closed>open", "discord closed>open"]);
  expect([second.moves.length, second.kept.size]).toEqual([0, 0]);
  await second.clock.advance(resetMs);
  expect(second.moves.map(short)).toEqual(["open>half-open by requests"]);
  second.subject.stop();
});

test("a platform that is no more is kept no longer", () => {
  const { kept, subject } = recorded();
  subject.open("voice", "a test");
  subject.open("discord", "a test");
  subject.retain(new Set(["discord"]));
  expect([...kept.keys()]).toEqual(["discord"]);
  expect(subject.view("voice")).toBeNull();
  subject.stop();
});
