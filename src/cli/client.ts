/** Asks the conductor that runs on this host. */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { SystemClock } from "../clock.ts";
import { tokenPath } from "../http/token.ts";
import { CliError, type Invocation } from "./command.ts";
import { configuration } from "./configuration.ts";
import { stateLocation } from "./database-place.ts";

/** Where the configured server listens, and the folder that holds its token. */
function serverOf(invocation: Invocation): { url: string; stateFolder: string | null } {
  const { config } = configuration(invocation);
  const { host, port } = config.http;
  const reachable =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  const location = stateLocation(invocation);
  return { url: `http://${reachable}:${port}`, stateFolder: location.path && dirname(location.path) };
}

function tokenOf(environment: Invocation["environment"], stateFolder: string | null): string | undefined {
  if (environment.CONDUCTOR_TOKEN) return environment.CONDUCTOR_TOKEN;
  if (stateFolder === null) return undefined;
  try {
    return readFileSync(tokenPath(stateFolder), "utf8").trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "EACCES") return undefined;
    throw error;
  }
}

/** What kept a request from being answered, in words. */
function unreachable(error: unknown): string {
  const { code, name, message } = error as { code?: string; name?: string; message?: string };
  if (code === "ConnectionRefused" || code === "ECONNREFUSED") return "connection refused";
  if (name === "TimeoutError") return `no answer within ${timeoutMs / 1_000} s`;
  return message?.split("\n")[0] ?? String(error);
}

const timeoutMs = 30_000;

interface Asked {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  /** Sent as JSON. */
  body?: unknown;
}

/** `problem` is the message without what to do. */
export class NobodyAnswersError extends CliError {
  constructor(readonly problem: string) {
    super(`${problem}; start one with "conductor serve", or say with --config or --port which one you mean`);
    this.name = "NobodyAnswersError";
  }
}

async function send(
  invocation: Invocation,
  path: string,
  { method = "GET", body }: Asked,
  { headers = {}, signal }: { headers?: Record<string, string>; signal: AbortSignal },
): Promise<Response> {
  const { url, stateFolder } = serverOf(invocation);
  const token = tokenOf(invocation.environment, stateFolder);
  try {
    return await fetch(`${url}${path}`, {
      method,
      headers: {
        ...headers,
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    });
  } catch (error) {
    throw new NobodyAnswersError(`no conductor answers at ${url} (${unreachable(error)})`);
  }
}

/** A refusal as the conductor tells it. */
export interface Told {
  status: number;
  title: string;
  detail: string;
  /** Seconds after which to ask again; null: not said. */
  retryAfterSeconds: number | null;
  document: unknown;
}

/** The JSON of an answer, or the refusal that it is. */
async function answerOrRefusal<T>(response: Response): Promise<{ answer: T } | { refusal: Told }> {
  const document = (await response.json().catch(() => null)) as
    | (T & { title?: string; detail?: string })
    | null;
  if (response.ok && document !== null) return { answer: document };
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  return {
    refusal: {
      status: response.status,
      title: document?.title ?? `${response.url}: HTTP ${response.status}`,
      detail: document?.detail ?? "no detail",
      retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : null,
      document,
    },
  };
}

/** The JSON of an answer; a refusal becomes a CliError with what the conductor said. */
async function answerOf<T>(response: Response): Promise<T> {
  const told = await answerOrRefusal<T>(response);
  if ("answer" in told) return told.answer;
  throw new CliError(`${told.refusal.title}: ${told.refusal.detail}`);
}

/** The JSON answer of the running conductor. Throws CliError with the remedy when there is none or it refuses. */
export async function askConductor<T>(invocation: Invocation, path: string, asked: Asked = {}): Promise<T> {
  const response = await send(invocation, path, asked, { signal: AbortSignal.timeout(timeoutMs) });
  return answerOf<T>(response);
}

/** As `askConductor`, where a refusal is an answer too. Throws CliError only when there is no conductor. */
export async function tryConductor<T>(
  invocation: Invocation,
  path: string,
  asked: Asked,
): Promise<{ answer: T } | { refusal: Told }> {
  const response = await send(invocation, path, asked, { signal: AbortSignal.timeout(timeoutMs) });
  return answerOrRefusal<T>(response);
}

/** The server-sent events of the running conductor, until `signal` aborts or it ends. Throws CliError as above. */
export async function followConductor(
  invocation: Invocation,
  path: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const late = new AbortController();
  const response = await withDeadline(late, () =>
    send(
      invocation,
      path,
      {},
      {
        headers: { Accept: "text/event-stream" },
        signal: AbortSignal.any([signal, late.signal]),
      },
    ),
  );
  if (!response.ok || response.body === null) return answerOf(response);
  return response.body;
}

/** Aborts `late` when the answer has not begun in time; what comes after its beginning may take as long as it likes. */
async function withDeadline(late: AbortController, run: () => Promise<Response>): Promise<Response> {
  const timer = new SystemClock().after(timeoutMs, () =>
    late.abort(new DOMException("no answer", "TimeoutError")),
  );
  try {
    return await run();
  } finally {
    timer.cancel();
  }
}
