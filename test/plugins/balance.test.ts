/** Which of several processes gets a request: the shares, and what moves when their number changes. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Balancer, type InstanceChoice } from "../../src/plugins/balance.ts";
import type { Instance } from "../../src/plugins/instance.ts";
import { Member } from "../../src/plugins/member.ts";
import type { PluginVersion } from "../../src/plugins/plugin-version.ts";

const version = (concurrency: number) => ({ manifest: { limits: { concurrency } } }) as PluginVersion;

/** Members with these requests under way; balancing looks at no process. */
const crew = (busy: readonly number[], concurrency = 100): Member[] =>
  busy.map((requests, slot) => {
    const member = new Member({} as Instance, version(concurrency), 0, slot);
    for (let i = 0; i < requests; i++) member.begin();
    return member;
  });

/** Numbers of a linear congruence: the same in every run. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const balancer = () => new Balancer(seeded(7));
const hashed = (key: string): InstanceChoice => ({ balance: "hash", key });
const owner = (members: readonly Member[], key: string) => balancer().pick(members, hashed(key))?.slot;
const keys = (count: number) => Array.from({ length: count }, (_, index) => `text user-${index}`);

test("of none there is none, of one it is that one, whatever the choice", () => {
  const choices = [
    { balance: "least-busy" },
    { balance: "power-of-two" },
    { balance: "round-robin" },
  ] as const;
  for (const choice of [undefined, ...choices, hashed("a")]) {
    expect(balancer().pick([], choice)).toBeNull();
    expect(balancer().pick(crew([5], 1), choice)?.slot).toBe(0);
  }
});

test("without a choice, and for a hash without a key, it is the least busy, of several the first", () => {
  const members = crew([2, 1, 1]);
  expect(balancer().pick(members, undefined)?.slot).toBe(1);
  expect(balancer().pick(members, { balance: "hash" })?.slot).toBe(1);
});

test("one that does not answer its health checks is passed over while another does; its keys come back", () => {
  const members = crew([0, 9, 9]);
  const key = keys(100).find((each) => owner(members, each) === 0) ?? "";
  members[0]?.checked(false, 1);
  for (const choice of [
    undefined,
    { balance: "power-of-two" },
    { balance: "round-robin" },
    hashed(key),
  ] as const)
    expect(balancer().pick(members, choice)?.slot).not.toBe(0);
  for (const member of members) member.checked(false, 1);
  expect(balancer().pick(members, undefined)?.slot).toBe(0);
  for (const member of members) member.checked(true, 2);
  expect(owner(members, key)).toBe(0);
});

describe("round robin", () => {
  test("takes each in turn", () => {
    const subject = balancer();
    const members = crew([0, 0, 0]);
    const taken = Array.from({ length: 7 }, () => subject.pick(members, { balance: "round-robin" })?.slot);
    expect(taken).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  test("goes on where it was when one is gone, and passes over the full ones", () => {
    const subject = balancer();
    const members = crew([0, 0, 9, 0], 9);
    const next = (of: readonly Member[]) => subject.pick(of, { balance: "round-robin" })?.slot;
    expect([next(members), next(members), next(members), next(members)]).toEqual([0, 1, 3, 0]);
    expect(next(members.filter(({ slot }) => slot !== 1))).toBe(3);
  });
});

describe("power of two choices", () => {
  test("never takes the busiest of three, and takes every other", () => {
    const subject = balancer();
    const members = crew([0, 1, 2]);
    const taken = Array.from({ length: 300 }, () => subject.pick(members, { balance: "power-of-two" })?.slot);
    expect(new Set(taken)).toEqual(new Set([0, 1]));
  });

  test("keeps the fullest of ten within a few of the mean, where a blind choice does not", () => {
    const loadOf = (pick: (members: readonly Member[]) => Member | null | undefined) => {
      const members = crew(Array(10).fill(0), 10_000);
      for (let i = 0; i < 1_000; i++) pick(members)?.begin();
      return Math.max(...members.map(({ inFlight }) => inFlight));
    };
    const subject = balancer();
    const blind = seeded(7);
    expect(loadOf((members) => subject.pick(members, { balance: "power-of-two" }))).toBeLessThanOrEqual(104);
    expect(loadOf((members) => members[Math.floor(blind() * 10)])).toBeGreaterThan(104);
  });

  test("takes one that has room while there is one", () => {
    const members = crew([3, 3, 2, 3], 3);
    for (let i = 0; i < 50; i++) expect(balancer().pick(members, { balance: "power-of-two" })?.slot).toBe(2);
  });
});

describe("hashing by a key", () => {
  test("keeps a key where it is, however busy that one is", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.nat(20), { minLength: 2, maxLength: 8 }), (key, busy) => {
        expect(owner(crew(busy), key)).toBe(owner(crew(busy.map(() => 0)), key));
      }),
    );
  });

  test("spreads the keys evenly", () => {
    const members = crew([0, 0, 0, 0]);
    const owners = Map.groupBy(keys(10_000), (key) => owner(members, key));
    // Of 10,000 draws with p = 1/4 the deviation is 43: five of them either way.
    for (const slot of [0, 1, 2, 3])
      expect(Math.abs((owners.get(slot)?.length ?? 0) - 2_500)).toBeLessThan(217);
  });

  test("moves only the keys that the new one takes, a share of 1/n", () => {
    const [four, five] = [crew([0, 0, 0, 0]), crew([0, 0, 0, 0, 0])];
    const moved = keys(10_000).filter((key) => owner(four, key) !== owner(five, key));
    expect(moved.every((key) => owner(five, key) === 4)).toBe(true);
    expect(Math.abs(moved.length - 2_000)).toBeLessThan(200);
  });

  test("moves only the keys of the one that is gone, and gives them back when it returns", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 2, max: 8 }), fc.nat(7), (key, count, lost) => {
        const members = crew(Array(count).fill(0));
        const before = owner(members, key);
        const after = owner(
          members.filter(({ slot }) => slot !== lost),
          key,
        );
        if (before === lost % 8 && lost < count) expect(after).not.toBe(before);
        else expect(after).toBe(before);
      }),
    );
  });
});
