/** Why there is no answer, as a problem: by who refused, else by how the engine failed. */

import type { EngineFailure } from "../../models/failure.ts";
import type { ModelRefusal } from "../../models/manager-ports.ts";
import type { RefusalKind } from "../../models/preflight.ts";
import type { Problem } from "../problem.ts";

const refusals: Readonly<
  Record<Exclude<RefusalKind, "failed">, Pick<Problem, "status" | "code" | "title"> & { blockedBy?: string }>
> = {
  unknown: { status: 404, code: "model_not_found", title: "There is no such model" },
  "too-long": {
    status: 400,
    code: "context_length_exceeded",
    title: "No model has so long a context",
  },
  memory: { status: 503, code: "memory_short", title: "No model fits into memory now", blockedBy: "memory" },
  unusable: { status: 503, code: "models_unusable", title: "No model can be used" },
  busy: { status: 429, code: "models_busy", title: "The models are busy", blockedBy: "concurrency" },
  unloaded: {
    status: 503,
    code: "models_unloaded",
    title: "The models were unloaded by a person",
    blockedBy: "administrator",
  },
  closing: { status: 503, code: "shutting_down", title: "The conductor is shutting down" },
};

/** Seconds after which to ask again where nothing says it better. */
const usualRetrySeconds = 5;

/** `known`: the names that may be asked for; `param`: the field that holds what is asked. */
export function refusalProblem(
  failure: EngineFailure | null,
  refusal: ModelRefusal | null,
  known: readonly string[],
  param: string,
): Problem {
  if (refusal === null || refusal.kind === "failed") return failureProblem(failure, refusal, param);
  const { status, code, title, blockedBy } = refusals[refusal.kind];
  const before =
    failure === null || failure.message === refusal.reason ? "" : `; before that: ${failure.message}`;
  const retries = status === 503 || status === 429;
  return {
    status,
    code,
    title,
    detail: `${refusal.reason}${before}`,
    ...(retries
      ? {
          retryAfterSeconds: refusal.retryAfterMs === null ? usualRetrySeconds : refusal.retryAfterMs / 1_000,
        }
      : {}),
    more: {
      ...(refusal.kind === "unknown" ? { param: "model", known } : {}),
      ...(refusal.kind === "too-long" ? { param } : {}),
      ...(blockedBy === undefined ? {} : { blocked_by: blockedBy, blockedBy: refusal.blockedBy }),
    },
  };
}

/** Of an engine: also what a stream that has begun ends with. */
export function failureProblem(
  failure: EngineFailure | null,
  refusal: ModelRefusal | null,
  param: string,
): Problem {
  const { code, message, remedy, retryAfterMs } = failure ?? {
    code: "aborted",
    message: "the answer was given up",
    remedy: "try again",
    retryAfterMs: undefined,
  };
  const detail = `${message}; ${remedy}`;
  if (code === "bad-request")
    return {
      status: 400,
      code: "invalid_value",
      title: "The request cannot be answered",
      detail,
      more: { param },
    };
  const status = code === "overloaded" || code === "aborted" || code === "not-loaded" ? 503 : 502;
  const afterMs = retryAfterMs ?? refusal?.retryAfterMs ?? null;
  return {
    status,
    code: code.replaceAll("-", "_"),
    title: "The model failed to answer",
    detail,
    retryAfterSeconds: afterMs === null ? usualRetrySeconds : afterMs / 1_000,
  };
}
