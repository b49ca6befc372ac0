/**
 * Asks, before an operation of the user's own takes memory, whether it may. What is granted is a lease: it counts as a
 * reservation until it is given back or ends, so that two that ask at once do not get the same memory. An important operation
 * may have less important plugins shed first; the answer then waits until their memory was measured to be back.
 */

import type { Clock } from "../clock.ts";
import { formatBytes, formatPercent } from "../config/units.ts";
import type { Admission, MemoryNow } from "./admission.ts";
import { type Lease, type Leases, type LeaseTerms, mostLeases } from "./leases.ts";
import type { Blocker, RoomAnswer } from "./room.ts";
import type { Situation, Verdict } from "./situation.ts";

export interface PreflightRequest {
  bytes: number;
  /** See `RoomRequest.importance`; null: no plugin is less important. */
  importance: number | string | null;
  leaseMs: number;
  who: string;
  /** Less important plugins are shed for it. */
  shed: boolean;
}

export type PreflightAnswer =
  | { decision: "proceed"; lease: Lease; availableBytes: number; reason: string }
  | {
      decision: "wait" | "refuse";
      availableBytes: number;
      reason: string;
      blockedBy: readonly Blocker[];
      retryAfterMs: number;
    }
  /** More than may ever be promised on this host. */
  | { decision: "too-large"; budgetBytes: number; mostBytes: number }
  | { decision: "unmeasured" };

export interface PreflightOptions {
  clock: Clock;
  admission: Admission;
  leases: Leases;
  memoryNow: () => MemoryNow;
  /** Sheds what `next` says, measured in between, until it says null. */
  makeRoom: (next: (situation: Situation) => Verdict | null) => Promise<void>;
}

/** Until then memory must be back, or the answer is to wait. */
export const reclaimWaitMs = 10_000;
/** Until a promise or a rise has passed, where nobody knows better. */
const passesMs = 2_000;
/** Until what runs has ended or was shed. */
const endsMs = 30_000;

export class Preflight {
  readonly #options: PreflightOptions;

  constructor(options: PreflightOptions) {
    this.#options = options;
  }

  /** Whether the operation may go on, with its lease if so. Waits at most `reclaimWaitMs`, and only where something is shed. */
  async ask(request: PreflightRequest): Promise<PreflightAnswer> {
    const judged = this.#judge(request);
    if (!judged.answer) return judged.refusal;
    if (judged.answer.decision !== "shed-first" || !request.shed)
      return this.#answered(request, judged.answer);
    await this.#makeRoom(request);
    const after = this.#judge(request);
    return after.answer ? this.#answered(request, after.answer) : after.refusal;
  }

  /** A lease for what was judged elsewhere, a model that is loaded; null: there are as many as there may be. */
  hold(terms: LeaseTerms): Lease | null {
    return this.#options.leases.take(terms, this.#options.clock.monotonicMs());
  }

  /** See `Leases.renew`. */
  renew(id: string, leaseMs: number, takenBytes?: number): Lease | null {
    const { leases, clock } = this.#options;
    return leases.renew(id, leaseMs, clock.monotonicMs(), takenBytes);
  }

  /** False: there is no such lease, or no more. */
  release(id: string): boolean {
    return this.#options.leases.release(id, this.#options.clock.monotonicMs());
  }

  #judge(request: PreflightRequest): { answer: RoomAnswer } | { answer: null; refusal: PreflightAnswer } {
    const memory = this.#options.memoryNow();
    const { situation, policy } = memory;
    if (!situation) return { answer: null, refusal: { decision: "unmeasured" } };
    const { budgetBytes } = situation.measured;
    const mostBytes = Math.floor(policy.shedRatio * budgetBytes);
    if (request.bytes > mostBytes)
      return { answer: null, refusal: { decision: "too-large", budgetBytes, mostBytes } };
    return { answer: this.#options.admission.ask(roomRequestOf(request), situation, memory) };
  }

  #answered(request: PreflightRequest, answer: RoomAnswer): PreflightAnswer {
    const { leases, clock } = this.#options;
    const { availableBytes, decision } = answer;
    if (decision === "admit") {
      const lease = leases.take(request, clock.monotonicMs());
      if (lease) return { decision: "proceed", lease, availableBytes, reason: fits(request, answer) };
      const reason = `${mostLeases} leases are held, the most there may be`;
      return { decision: "wait", availableBytes, reason, blockedBy: [], retryAfterMs: this.#untilNextEnd() };
    }
    const { blockedBy } = answer;
    const waits = decision === "shed-first" ? answer.otherwise : decision;
    const instead =
      decision === "shed-first"
        ? `; of less importance, ${answer.victims.plan.steps.map(({ plugin }) => plugin).join(", ")} could be shed for it`
        : "";
    return {
      decision: waits,
      availableBytes,
      reason: `${answer.reason}${instead}`,
      blockedBy,
      retryAfterMs: waits === "wait" ? this.#untilNextEnd() : endsMs,
    };
  }

  /** Sheds, one after the other, until the operation fits. What comes free is its own meanwhile: nobody else may take it. */
  async #makeRoom(request: PreflightRequest): Promise<void> {
    const { leases, clock, admission, makeRoom, memoryNow } = this.#options;
    const lease = leases.take({ ...request, leaseMs: 2 * reclaimWaitMs }, clock.monotonicMs());
    if (!lease) return;
    const untilMs = clock.monotonicMs() + reclaimWaitMs;
    const next = (situation: Situation): Verdict | null => {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0) return null;
      // Its bytes are promised already.
      const answer = admission.ask({ ...roomRequestOf(request), bytes: 0 }, situation, memoryNow());
      return answer.decision === "shed-first" ? shedVerdict(request, answer, leftMs) : null;
    };
    try {
      await inTime(clock, reclaimWaitMs, makeRoom(next));
    } finally {
      leases.release(lease.id, clock.monotonicMs());
    }
  }

  /** Until the first promise ends, at most `endsMs`; sooner where something else may pass. */
  #untilNextEnd(): number {
    const { admission, clock } = this.#options;
    const ends = admission.promised().map(({ untilMs }) => untilMs - clock.monotonicMs());
    return ends.length === 0 ? passesMs : Math.min(endsMs, Math.max(passesMs, Math.min(...ends)));
  }
}

const roomRequestOf = ({ bytes, importance, leaseMs }: PreflightRequest) => ({
  bytes,
  importance,
  withinMs: leaseMs,
});

const fits = ({ bytes }: PreflightRequest, { afterRatio, lineRatio }: RoomAnswer): string =>
  `${formatBytes(bytes)} fit: ${formatPercent(afterRatio)} of the budget would be used, under the shed line of ${formatPercent(lineRatio)}`;

/** The first step of the plan, as a decision. Requests under way may take as long as is waited for the memory. */
function shedVerdict(
  { who, bytes }: PreflightRequest,
  { victims, reason }: Extract<RoomAnswer, { decision: "shed-first" }>,
  drainMs: number,
): Verdict {
  const { first, group, because, plan } = victims;
  return {
    rule: "preflight",
    reason: `${who} asks for ${formatBytes(bytes)}, and ${reason}: ${first?.name} ${because}`,
    actions: group.map((plugin) => ({
      kind: "shed",
      plugin: plugin.name,
      urgent: false,
      expectedBytes: plugin.footprintBytes,
      drainMs,
    })),
    rejected: [],
    plan,
  };
}

/** Resolves when `work` is done, or after `ms`; what is under way goes on. */
function inTime(clock: Clock, ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, resolve);
    work.then(
      () => {
        timer.cancel();
        resolve();
      },
      (error) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
