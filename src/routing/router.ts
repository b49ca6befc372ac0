/**
 * From a request to exactly one outcome.
 *
 *   unknown platform                                              -> refused, 404 with the known ones
 *   ready, breaker permits, answers                               -> answered
 *   answers with an error (its handler threw)                     -> refused, 502: the platform did answer; a canned
 *                                                                    reply would hide its message
 *   shed, stopped, failed, breaker open, busy, crash, timeout ... -> the fallbacks in turn: answered, degraded
 *   ... and no fallback answers                                   -> refused, for the platform's own reason
 *   the client goes away                                          -> the dispatch is aborted; refused, 499
 *   the first chunk of a stream                                   -> answered; the outcome that is counted follows when
 *                                                                    the stream has ended, and no fallback any more
 *
 * Time: a plugin has its own request timeout (default 5 s). A fallback has `fallbackTimeoutMs` on top, unless the client
 * set a deadline: that one covers everything, and a part of it is kept back for the fallback.
 */

import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { PluginRequest } from "../sdk/plugin.ts";
import { type AttemptResult, type AttemptStream, attempt } from "./attempt.ts";
import type { BreakerGate, Dispatcher, Resolution } from "./dispatcher.ts";
import type {
  Answered,
  Attempt,
  AttemptFailure,
  Outcome,
  Refused,
  RouteObserver,
  RouteRequest,
} from "./outcome.ts";
import { refusalFor, routerBusy, shuttingDown, type Told, unknownPlatform } from "./refusal.ts";
import { collect, endOf } from "./streamed.ts";

export interface RouterOptions {
  clock: Clock;
  log: Log;
  dispatcher: Dispatcher;
  breakers: BreakerGate;
  /** Platforms that may answer in place of `platform`, best first; itself and unknown ones are passed over. */
  fallbacks: (platform: string) => readonly string[];
  newRequestId: () => string;
  observers: readonly RouteObserver[];
  /** For plugins that name no limit of their own; default 5 s. */
  requestTimeoutMs?: number;
  /** For a fallback's answer; default 1 s. */
  fallbackTimeoutMs?: number;
  /** Requests under way at once; default 1,024. */
  maxInFlight?: number;
}

interface Target {
  platform: string;
  resolution: Resolution;
}

/** One request on its way. */
interface Journey {
  request: RouteRequest;
  message: PluginRequest;
  startedAt: number;
  /** Monotonic; Infinity without a client's deadline. */
  deadlineAt: number;
  attempts: Attempt[];
  /** The chunks of the answer, when it comes in chunks. */
  stream: AttemptStream | null;
}

/** Fallbacks tried for one request. */
const maxFallbacks = 3;
/** Kept back of a client's deadline for the fallback: a tenth, at most this. */
const mostReservedMs = 500;
/**
 * A timeout counts against the plugin's breaker only when it had this share of its own request timeout: else three
 * clients with a deadline of 1 ms would close the platform to everyone.
 */
const countingShare = 0.8;
/** After these no fallback is asked: the platform answered, the request is at fault, or nobody waits. */
const final: ReadonlySet<AttemptFailure> = new Set(["plugin-error", "too-large", "cancelled"]);

export class Router {
  readonly #options: RouterOptions;
  readonly #requestTimeoutMs: number;
  readonly #fallbackTimeoutMs: number;
  readonly #maxInFlight: number;
  #inFlight = 0;
  #closed = false;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? 5_000;
    this.#fallbackTimeoutMs = options.fallbackTimeoutMs ?? 1_000;
    this.#maxInFlight = options.maxInFlight ?? 1_024;
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Refuses every further request; those under way finish. */
  close(): void {
    this.#closed = true;
  }

  /** Routes one request. Never rejects: what goes wrong is a `refused` outcome. */
  async route(request: RouteRequest): Promise<Outcome> {
    const journey = this.#journey(request);
    if (this.#closed) return this.#tell(this.#refused(journey, shuttingDown), request);
    if (this.#inFlight >= this.#maxInFlight)
      return this.#tell(this.#refused(journey, routerBusy(this.#maxInFlight)), request);
    this.#inFlight++;
    try {
      return await this.#underWay(journey);
    } catch (error) {
      this.#inFlight--;
      throw error;
    }
  }

  async #underWay(journey: Journey): Promise<Outcome> {
    const outcome = await this.#travel(journey);
    const { stream, request } = journey;
    if (outcome.kind === "refused" || !stream) return this.#finish(outcome, request);
    if (request.streams !== true)
      return this.#finish(await collect(outcome, stream, () => this.#sinceStart(journey)), request);
    const done = stream.ended.then((failure) =>
      this.#finish(endOf(outcome, failure, this.#sinceStart(journey)), request),
    );
    const { chunks, cancel } = stream;
    const routed = { [Symbol.asyncIterator]: () => chunks[Symbol.asyncIterator](), done, cancel };
    return { ...outcome, streamed: true, stream: routed };
  }

  /** The request is no longer under way. */
  #finish(outcome: Outcome, request: RouteRequest): Outcome {
    this.#inFlight--;
    return this.#tell(outcome, request);
  }

  #journey(request: RouteRequest): Journey {
    const startedAt = this.#options.clock.monotonicMs();
    const message: PluginRequest = {
      id: request.requestId ?? this.#options.newRequestId(),
      platform: request.platform,
      type: request.type ?? "message",
      payload: request.payload,
      ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
    };
    const deadlineAt = request.deadlineMs === undefined ? Infinity : startedAt + request.deadlineMs;
    return { request, message, startedAt, deadlineAt, attempts: [], stream: null };
  }

  async #travel(journey: Journey): Promise<Outcome> {
    const { dispatcher } = this.#options;
    const { platform, signal } = journey.request;
    const resolution = dispatcher.resolve(platform);
    if (!resolution) return this.#refused(journey, unknownPlatform(platform, dispatcher.platforms()));
    const fallbacks =
      journey.request.fallbacks === false ? [] : this.#fallbackTargets(platform, resolution.plugin);
    const timeoutMs = Math.min(
      this.#ownTimeoutMs(resolution),
      this.#leftMs(journey) - this.#reservedMs(journey, fallbacks),
    );
    const first = await this.#try(journey, { platform, resolution }, journey.message, timeoutMs);
    if (first.ok) return this.#answered(journey, resolution.plugin, first.result);
    if (!final.has(first.failure)) {
      const degraded = await this.#fallBack(journey, fallbacks, first.message);
      if (degraded) return degraded;
      if (signal?.aborted) return this.#refused(journey, refusalFor("cancelled", "the client went away"));
    }
    return this.#refused(journey, refusalFor(first.failure, first.message, first.retryAfterMs));
  }

  async #fallBack(journey: Journey, fallbacks: readonly Target[], reason: string): Promise<Answered | null> {
    const unavailable = journey.request.platform;
    const message: PluginRequest = { ...journey.message, fallback: { unavailable, reason } };
    for (const target of fallbacks) {
      const timeoutMs = Math.min(this.#fallbackTimeoutMs, this.#leftMs(journey));
      const tried = await this.#try(journey, target, message, timeoutMs);
      if (tried.ok)
        return {
          ...this.#answered(journey, target.resolution.plugin, tried.result),
          degraded: true,
          fallbackFor: unavailable,
          reason,
        };
      if (tried.failure === "cancelled") return null;
    }
    return null;
  }

  async #try(
    journey: Journey,
    target: Target,
    message: PluginRequest,
    timeoutMs: number,
  ): Promise<AttemptResult> {
    const { clock } = this.#options;
    const { plugin } = target.resolution;
    const startedAt = clock.monotonicMs();
    const late: AttemptResult = {
      ok: false,
      failure: "timeout",
      message: "no time was left of the deadline",
    };
    const timeoutCounts = timeoutMs >= countingShare * this.#ownTimeoutMs(target.resolution);
    const { deadlineAt } = journey;
    const { signal, beforeSend } = journey.request;
    const limits = { timeoutMs, deadlineAt, timeoutCounts, signal, ...(beforeSend ? { beforeSend } : {}) };
    const tried = timeoutMs > 0 ? await attempt(this.#options, target, message, limits) : late;
    journey.stream = (tried.ok && tried.stream) || null;
    const said = tried.ok
      ? { outcome: "answered" as const }
      : { outcome: tried.failure, error: tried.message };
    journey.attempts.push({ plugin, ...said, durationMs: clock.monotonicMs() - startedAt });
    return tried;
  }

  /** The other plugins that may stand in, each once. */
  #fallbackTargets(platform: string, primary: string): Target[] {
    const targets: Target[] = [];
    const seen = new Set([primary]);
    for (const candidate of this.#options.fallbacks(platform)) {
      const resolution = targets.length < maxFallbacks ? this.#options.dispatcher.resolve(candidate) : null;
      if (!resolution || seen.has(resolution.plugin)) continue;
      seen.add(resolution.plugin);
      targets.push({ platform: candidate, resolution });
    }
    return targets;
  }

  #ownTimeoutMs(resolution: Resolution): number {
    return resolution.requestTimeoutMs ?? this.#requestTimeoutMs;
  }

  #sinceStart(journey: Journey): number {
    return this.#options.clock.monotonicMs() - journey.startedAt;
  }

  #leftMs(journey: Journey): number {
    return journey.deadlineAt - this.#options.clock.monotonicMs();
  }

  /** What of the client's deadline a ready fallback may still need. */
  #reservedMs(journey: Journey, fallbacks: readonly Target[]): number {
    if (journey.deadlineAt === Infinity || !fallbacks.some(({ resolution }) => resolution.state === "ready"))
      return 0;
    return Math.min(mostReservedMs, this.#leftMs(journey) / 10);
  }

  #answered(journey: Journey, plugin: string, result: Answered["result"]): Answered {
    return {
      kind: "answered",
      requestId: journey.message.id,
      platform: journey.request.platform,
      plugin,
      result,
      degraded: false,
      durationMs: this.#sinceStart(journey),
      attempts: journey.attempts,
    };
  }

  #refused(journey: Journey, told: Told): Refused {
    return {
      kind: "refused",
      requestId: journey.message.id,
      platform: journey.request.platform,
      ...told,
      durationMs: this.#sinceStart(journey),
      attempts: journey.attempts,
    };
  }

  #tell(outcome: Outcome, request: RouteRequest): Outcome {
    for (const observer of this.#options.observers) {
      try {
        observer.routed(outcome, request);
      } catch (error) {
        this.#options.log.error("routing.observer_failed", { requestId: outcome.requestId, error });
      }
    }
    return outcome;
  }
}
