/** The only place that sends an event out. What went wrong is told without the URL, which may hold a secret. */

export interface Outgoing {
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** Until the answer's status and headers are here. */
  timeoutMs: number;
  /** Gives up at once. */
  signal: AbortSignal;
}

/** The answer's status and its Retry-After, or in a few words why there is none. */
export type Answered = { status: number; retryAfter: string | null } | { status: null; failure: string };

export type Post = (outgoing: Outgoing) => Promise<Answered>;

/** Posts once. Redirects are not followed; what the answer holds beside its status and headers is not read. Never rejects. */
export const post: Post = async ({ url, headers, body, timeoutMs, signal }) => {
  const done = new AbortController();
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), signal, done.signal]),
    });
    return { status: response.status, retryAfter: response.headers.get("retry-after") };
  } catch (error) {
    return { status: null, failure: failureOf(error, timeoutMs) };
  } finally {
    done.abort(); // An answer without end would else hold its connection.
  }
};

/** By name or code only: messages of the runtime hold the URL. */
function failureOf(error: unknown, timeoutMs: number): string {
  const { name, code } = error as { name?: unknown; code?: unknown };
  if (name === "TimeoutError") return `no answer within ${timeoutMs} ms`;
  if (name === "AbortError") return "given up";
  return typeof code === "string" ? `no answer (${code})` : "no answer";
}
