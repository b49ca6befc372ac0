/**
 * From a request to exactly one outcome.
 *
 *   a routing rule matches                                        -> its target and its fallbacks, in place of the
 *                                                                    platform that the client named
 *   unknown platform                                              -> refused, 404 with the known ones; where a rule
 *                                                                    names it, its fallbacks first
 *   ready, breaker permits, answers                               -> answered
 *   answers with an error (its handler threw)                     -> refused, 502: the platform did answer; a canned
 *                                                                    reply would hide its message
 *   shed, stopped, failed, breaker open, busy, crash, timeout ... -> the fallbacks in turn: answered, degraded
 *   ... and no fallback answers                                   -> refused, for the platform's own reason
 *   ... but where that may be repeated (retrying.ts)              -> tried again first, within the time for the platform
 *   the client goes away                                          -> the dispatch is aborted; refused, 499
 *   the first chunk of a stream                                   -> answered; the outcome that is counted follows when
 *                                                                    the stream has ended, and no fallback any more
 *
 * Time: a plugin has its own request timeout (default 5 s). A fallback has `fallbackTimeoutMs` on top, unless the client
 * set a deadline: that one covers everything, retries too, and a part of it is kept back for the fallback. Without one,
 * all tries together have the plugin's own timeout.
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
import type { Retrying } from "./retrying.ts";
import type { RouteDecision, RouteRules } from "./rules.ts";
import { collect, endOf } from "./streamed.ts";

export interface RouterOptions {
  clock: Clock;
  log: Log;
  dispatcher: Dispatcher;
  breakers: BreakerGate;
  /** Platforms that may answer in place of `platform`, best first; itself and unknown ones are passed over. */
  fallbacks: (platform: string) => readonly string[];
  /** The routing rules in force; default: none. */
  rules?: () => RouteRules;
  newRequestId: () => string;
  /** Sends again what may be repeated; absent: nothing is. */
  retrying?: Retrying;
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
  /** What a routing rule says of it; null: no rule matches. */
  route: RouteDecision | null;
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

/** The platform it goes to: that of its rule, else the one the client named. */
const platformOf = ({ route, request }: Journey): string => route?.to ?? request.platform;

const routedBy = (journey: Journey) => ({
  platform: platformOf(journey),
  ...(journey.route ? { rule: journey.route.rule } : {}),
});

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

  /** Headers that rules look at, in lower case; a request need bring no others. */
  get ruleHeaders(): readonly string[] {
    return this.#options.rules?.().headerNames ?? [];
  }

  /** Every further request is refused: conductor ends. */
  get closed(): boolean {
    return this.#closed;
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
    return { request, message, startedAt, deadlineAt, attempts: [], route: null, stream: null };
  }

  async #travel(journey: Journey): Promise<Outcome> {
    const { dispatcher } = this.#options;
    const { signal } = journey.request;
    journey.route = this.#options.rules?.().decide(journey.request) ?? null;
    const platform = platformOf(journey);
    const resolution = dispatcher.resolve(platform);
    const fallbacks =
      journey.request.fallbacks === false ? [] : this.#fallbackTargets(journey, resolution?.plugin);
    if (!resolution) return this.#unserved(journey, fallbacks);
    const { tried, plugin } = await this.#tryPlatform(journey, resolution, fallbacks);
    if (tried.ok) return this.#answered(journey, plugin, tried.result);
    if (!final.has(tried.failure)) {
      const degraded = await this.#fallBack(journey, fallbacks, tried.message);
      if (degraded) return degraded;
      if (signal?.aborted) return this.#refused(journey, refusalFor("cancelled", "the client went away"));
    }
    return this.#refused(journey, refusalFor(tried.failure, tried.message, tried.retryAfterMs));
  }

  /** Tries what serves the platform, again where that is allowed: by then it may be another plugin. */
  async #tryPlatform(
    journey: Journey,
    first: Resolution,
    fallbacks: readonly Target[],
  ): Promise<{ tried: AttemptResult; plugin: string }> {
    const { dispatcher, retrying } = this.#options;
    const { signal, idempotent, idempotencyKey } = journey.request;
    const platform = platformOf(journey);
    const reservedMs = this.#reservedMs(journey, fallbacks);
    const endAt = Math.min(journey.deadlineAt - reservedMs, this.#unlimitedEndAt(journey, first));
    const leftMs = () => endAt - this.#options.clock.monotonicMs();
    let resolution = first;
    const send = () => {
      const timeoutMs = Math.min(this.#ownTimeoutMs(resolution), leftMs());
      return this.#try(journey, { platform, resolution }, journey.message, timeoutMs);
    };
    const ready = () => {
      resolution = dispatcher.resolve(platform) ?? resolution;
      return resolution.state === "ready";
    };
    const repeatable = (idempotent ?? journey.route?.idempotent) === true || idempotencyKey !== undefined;
    const request = { platform, idempotent: repeatable, leftMs, signal, ready, send };
    const tried = await (retrying ? retrying.run(request) : send());
    return { tried, plugin: resolution.plugin };
  }

  /** Without a client's deadline the tries have the plugin's own time together; else the deadline is for them. */
  #unlimitedEndAt(journey: Journey, resolution: Resolution): number {
    return journey.deadlineAt === Infinity ? journey.startedAt + this.#ownTimeoutMs(resolution) : Infinity;
  }

  /** No plugin serves the platform: a rule's fallbacks may, since plugins come and go while rules stay. */
  async #unserved(journey: Journey, fallbacks: readonly Target[]): Promise<Outcome> {
    const platform = platformOf(journey);
    const reason = `no plugin serves ${platform}`;
    const degraded = journey.route && (await this.#fallBack(journey, fallbacks, reason));
    if (degraded) return degraded;
    if (journey.request.signal?.aborted)
      return this.#refused(journey, refusalFor("cancelled", "the client went away"));
    return this.#refused(journey, unknownPlatform(platform, this.#options.dispatcher.platforms()));
  }

  async #fallBack(journey: Journey, fallbacks: readonly Target[], reason: string): Promise<Answered | null> {
    const unavailable = platformOf(journey);
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
    const limits = {
      ...{ timeoutMs, deadlineAt, timeoutCounts, signal },
      ...(journey.route ? { route: journey.route.choice } : {}),
      ...(beforeSend ? { beforeSend } : {}),
    };
    const tried = timeoutMs > 0 ? await attempt(this.#options, target, message, limits) : late;
    journey.stream = (tried.ok && tried.stream) || null;
    const said = tried.ok
      ? { outcome: "answered" as const }
      : { outcome: tried.failure, error: tried.message };
    journey.attempts.push({ plugin, ...said, durationMs: clock.monotonicMs() - startedAt });
    return tried;
  }

  /** The other plugins that may stand in, each once. */
  #fallbackTargets(journey: Journey, primary: string | undefined): Target[] {
    const targets: Target[] = [];
    const seen = new Set([primary]);
    for (const candidate of journey.route?.fallback ?? this.#options.fallbacks(platformOf(journey))) {
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
      ...routedBy(journey),
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
      ...routedBy(journey),
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
