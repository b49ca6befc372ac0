/** Why an engine could not do what it was asked, as data: a code, what happened, and what to do about it. */

/**
 * bad-request: the caller can change it. model-missing: there is no such model or file. model-broken: the file is no whole
 * GGUF. unsupported: the engine does not know this architecture or file. not-installed: the engine's program or library is
 * missing. not-ready: the model was not ready in time. not-loaded: nothing is loaded. out-of-memory: there was none left for
 * it. crashed: the engine ended by itself. unreachable: nobody answers there. unauthorized: the key is missing or refused.
 * overloaded: too much is asked at once; `retryAfterMs` when the engine said when. refused: the engine will not. server-error:
 * the engine failed. bad-answer: what came is no answer. broken-stream: the answer stopped in the middle. timeout: silence
 * for too long. aborted: the caller gave up. not-acknowledged: the engine did not say that it stopped. still-held: the memory
 * was not given back.
 */
export type FailureCode =
  | "bad-request"
  | "model-missing"
  | "model-broken"
  | "unsupported"
  | "not-installed"
  | "not-ready"
  | "not-loaded"
  | "out-of-memory"
  | "crashed"
  | "unreachable"
  | "unauthorized"
  | "overloaded"
  | "refused"
  | "server-error"
  | "bad-answer"
  | "broken-stream"
  | "timeout"
  | "aborted"
  | "not-acknowledged"
  | "still-held";

export interface EngineFailure {
  code: FailureCode;
  /** One line: what happened, without a secret. */
  message: string;
  /** One line: what to do next. */
  remedy: string;
  /** HTTP status, where there was one. */
  status?: number;
  /** Milliseconds until it may be tried again, where the engine said so. */
  retryAfterMs?: number;
}

/** Longest piece of a foreign text (a server's message, a last line) that is quoted. */
const mostQuotedCharacters = 300;

/** A failure on its way up, inside an engine; `Engine` itself never throws it. */
export class EngineError extends Error {
  constructor(readonly failure: EngineFailure) {
    super(failure.message);
  }
}

/** An error to throw. */
export const engineError = (
  code: FailureCode,
  message: string,
  remedy: string,
  more: Pick<EngineFailure, "status" | "retryAfterMs"> = {},
): EngineError => new EngineError({ code, message, remedy, ...more });

/** The failure in whatever was thrown; what is no EngineError is a mistake in the engine's own code and is thrown on. */
export function failureOf(error: unknown): EngineFailure {
  if (error instanceof EngineError) return error.failure;
  throw error;
}

/** A foreign text as part of a message: one line, no control characters, cut. */
export function quoted(text: string): string {
  const plain = text
    .slice(0, 4 * mostQuotedCharacters)
    .replace(/\p{Cc}+/gu, " ")
    .trim();
  return plain.length <= mostQuotedCharacters
    ? plain.toWellFormed()
    : `${plain.slice(0, mostQuotedCharacters).toWellFormed()}…`;
}
