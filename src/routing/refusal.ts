/** How each failure is told to the client. */

import type { AttemptFailure, BlockedBy, Refused } from "./outcome.ts";

export type Told = Pick<
  Refused,
  "status" | "code" | "title" | "detail" | "retryAfterSeconds" | "blockedBy" | "known"
>;

interface Row {
  status: number;
  code: string;
  title: string;
  blockedBy?: BlockedBy;
  /** A guess, for when nothing better is known. */
  retryAfterSeconds?: number;
}

/** 499 is nginx's "client closed request": nobody is left to read it, the record is. */
const rows: Record<AttemptFailure, Row> = {
  "plugin-error": { status: 502, code: "plugin-error", title: "The plugin answered with an error" },
  timeout: { status: 504, code: "plugin-timeout", title: "The plugin did not answer in time" },
  crash: { status: 503, code: "plugin-crashed", title: "The plugin's process ended", retryAfterSeconds: 1 },
  "bad-answer": { status: 502, code: "plugin-bad-answer", title: "The plugin's answer cannot be read" },
  unavailable: {
    status: 503,
    code: "plugin-unavailable",
    title: "The plugin cannot be reached",
    retryAfterSeconds: 1,
  },
  overload: {
    status: 429,
    code: "plugin-overloaded",
    title: "The plugin is busy",
    blockedBy: "concurrency",
    retryAfterSeconds: 1,
  },
  "too-large": { status: 413, code: "request-too-large", title: "The request is too large for a plugin" },
  cancelled: { status: 499, code: "client-gone", title: "The client went away" },
  starting: {
    status: 503,
    code: "plugin-starting",
    title: "The plugin is starting",
    blockedBy: "plugin-state",
    retryAfterSeconds: 1,
  },
  shed: {
    status: 503,
    code: "plugin-shed",
    title: "The plugin is shed because memory is short",
    blockedBy: "memory",
    retryAfterSeconds: 30,
  },
  stopped: { status: 503, code: "plugin-stopped", title: "The plugin is stopped", blockedBy: "plugin-state" },
  disabled: {
    status: 503,
    code: "plugin-disabled",
    title: "The plugin is disabled",
    blockedBy: "plugin-state",
  },
  blocked: {
    status: 503,
    code: "plugin-blocked",
    title: "What the plugin requires does not run",
    blockedBy: "plugin-state",
    retryAfterSeconds: 5,
  },
  failed: {
    status: 503,
    code: "plugin-failed",
    title: "The plugin failed",
    blockedBy: "plugin-state",
    retryAfterSeconds: 5,
  },
  "breaker-open": {
    status: 503,
    code: "breaker-open",
    title: "The platform's circuit breaker is open",
    blockedBy: "circuit-breaker",
  },
};

/** Most platforms named in an answer. */
const maxKnown = 100;

/** The refusal for an attempt that failed with `failure`; `retryAfterMs` where it is known. */
export function refusalFor(failure: AttemptFailure, detail: string, retryAfterMs?: number): Told {
  const { retryAfterSeconds: guess, ...row } = rows[failure];
  const retryAfterSeconds = retryAfterMs === undefined ? guess : Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return { ...row, detail, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}

/** No plugin serves the platform. */
export function unknownPlatform(platform: string, platforms: readonly string[]): Told {
  const known = [...platforms].sort().slice(0, maxKnown);
  const others = known.length === 0 ? "no plugin is installed" : `known: ${known.join(", ")}`;
  return {
    status: 404,
    code: "unknown-platform",
    title: "No plugin serves this platform",
    detail: `No plugin serves "${platform.slice(0, 100)}"; ${others}.`,
    known,
  };
}

/** The router itself takes no more. */
export function routerBusy(limit: number): Told {
  return {
    status: 503,
    code: "router-busy",
    title: "Too many requests at once",
    detail: `${limit} requests are under way, the most there may be.`,
    blockedBy: "router",
    retryAfterSeconds: 1,
  };
}

/** The chunks of an answer do not fit into one. */
export function answerTooLarge(plugin: string, limitBytes: number): Told {
  return {
    status: 502,
    code: "answer-too-large",
    title: "The answer is too large",
    detail: `${plugin} answers in chunks of more than ${limitBytes} bytes together; take them as a stream.`,
  };
}

/** The conductor is on its way out. */
export const shuttingDown: Told = {
  status: 503,
  code: "shutting-down",
  title: "The conductor is shutting down",
  detail: "New requests are refused while the last ones finish.",
  blockedBy: "router",
  retryAfterSeconds: 5,
};
