/** The only place of the models that calls a server. What went wrong is a typed failure; the key is in none of them. */

import { EngineError, engineError, quoted } from "./failure.ts";

export interface HttpRequest {
  method: "GET" | "POST";
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Closes the connection, at any time until the body is read. */
  signal: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  /** As the server sent it, such as "text/event-stream; charset=utf-8"; "" when it sent none. */
  contentType: string;
  retryAfter: string | null;
  /** As it comes: whoever does not read holds the server up. */
  body: AsyncIterable<Uint8Array>;
}

export type HttpCall = (request: HttpRequest) => Promise<HttpAnswer>;

/** Where a call goes, as it may be told: the query may hold a secret. */
export const shownUrl = (url: string): string => {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
};

/** What the runtime says, in words: its own messages hold the whole URL. */
function whyUnreachable(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "nobody listens there";
  if (code === "FailedToOpenSocket") return "the host does not exist or cannot be reached";
  return typeof code === "string" ? code : String(name);
}

const aborted = () => engineError("aborted", "the call was given up", "call again");

async function* bodyOf(response: Response, url: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  try {
    for await (const chunk of response.body) yield chunk;
  } catch (error) {
    if (signal.aborted) throw aborted();
    throw engineError(
      "broken-stream",
      `the connection to ${shownUrl(url)} broke in the middle of the answer (${whyUnreachable(error)})`,
      "look at the server's log, and try again",
    );
  }
}

/** Calls once; redirects are not followed. Throws EngineError: unreachable, or aborted when the signal did. */
export const httpCall: HttpCall = async ({ method, url, headers = {}, body, signal }) => {
  try {
    const response = await fetch(url, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: "manual",
      signal,
      // The runtime's own limit of five minutes; whoever calls has its own.
      timeout: false,
    } as RequestInit);
    return {
      status: response.status,
      contentType: response.headers.get("content-type") ?? "",
      retryAfter: response.headers.get("retry-after"),
      body: bodyOf(response, url, signal),
    };
  } catch (error) {
    if (signal.aborted) throw aborted();
    throw engineError(
      "unreachable",
      `${shownUrl(url)}: ${whyUnreachable(error)}`,
      "start the server, or correct its address",
    );
  }
};

/** Bytes of an answer that is read as a whole. */
const mostWholeBytes = 4 * 2 ** 20;

/** The whole body as text. Throws EngineError when it is too long. */
export async function wholeText(answer: HttpAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.byteLength;
    if (bytes > mostWholeBytes)
      throw engineError("bad-answer", `an answer of more than ${mostWholeBytes} bytes`, notThisKind);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const notThisKind = "check that the address is that of a model server of this kind";

/** The whole body as a JSON object. Throws EngineError for anything else. */
export async function wholeJson(answer: HttpAnswer): Promise<Record<string, unknown>> {
  return jsonObject(await wholeText(answer));
}

/** `text` as a JSON object. Throws EngineError for anything else. */
export function jsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw engineError("bad-answer", `not JSON: ${quoted(text.slice(0, 200))}`, notThisKind);
  }
  if (isRecord(value)) return value;
  throw engineError("bad-answer", `not a JSON object: ${quoted(text.slice(0, 200))}`, notThisKind);
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What to wait, from Retry-After: seconds or a date (RFC 9110, 10.2.3), at most a day; null for garbage. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const dayMs = 86_400_000;
  if (/^\d{1,9}$/.test(header.trim())) return Math.min(Number(header) * 1_000, dayMs);
  const atMs = Date.parse(header);
  return Number.isNaN(atMs) ? null : Math.min(Math.max(0, atMs - nowMs), dayMs);
}

/** The server's own words: OpenAI's `{error: {message}}`, ollama's `{error}`, or the text as it is. */
export function messageIn(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    const error = isRecord(value) ? (value.error ?? value.message ?? value.detail) : null;
    if (typeof error === "string") return quoted(error);
    if (isRecord(error) && typeof error.message === "string") return quoted(error.message);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return quoted(text);
}

/** An answer that is not 2xx as what it means. */
export async function failureOfStatus(answer: HttpAnswer, url: string, nowMs: number): Promise<EngineError> {
  const { status } = answer;
  const said = messageIn(await wholeText(answer).catch(brokenText));
  const message = `${shownUrl(url)} answered ${status}${said === "" ? "" : `: ${said}`}`;
  const waitMs = retryAfterMs(answer.retryAfter, nowMs);
  const more = { status, ...(waitMs === null ? {} : { retryAfterMs: waitMs }) };
  if (status === 401 || status === 403)
    return engineError("unauthorized", message, "set the environment variable with a valid key", more);
  if (status === 404)
    return engineError("model-missing", message, "check the model's name and the server's address", more);
  if (status === 408 || status === 504)
    return engineError("timeout", message, "give it more time, or ask for less", more);
  if (status === 429 || status === 503) return engineError("overloaded", message, "try again later", more);
  if (status >= 500) return engineError("server-error", message, "look at the server's log", more);
  if (status >= 400) return engineError("refused", message, "correct the request or the settings", more);
  return engineError("bad-answer", message, notThisKind, more);
}

/** The status alone is the answer then. */
function brokenText(error: unknown): string {
  if (error instanceof EngineError) return "";
  throw error;
}
