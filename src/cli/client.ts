/** Asks the conductor that runs on this host. */

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { tokenPath } from "../http/token.ts";
import { resolveLocation } from "../storage/location.ts";
import { CliError, type Invocation } from "./command.ts";
import { configuration } from "./configuration.ts";

/** Where the configured server listens, and the folder that holds its token. */
function serverOf(invocation: Invocation): { url: string; stateFolder: string | null } {
  const { config, baseFolder } = configuration(invocation);
  const { host, port } = config.http;
  const reachable =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  const { path } = config.storage;
  const absolute = path === undefined || path === ":memory:" ? path : resolve(baseFolder, path);
  const location = resolveLocation(absolute, invocation.environment);
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

/** The JSON answer of the running conductor. Throws CliError with the remedy when there is none or it refuses. */
export async function askConductor<T>(
  invocation: Invocation,
  path: string,
  options: { method?: "GET" | "POST" } = {},
): Promise<T> {
  const { url, stateFolder } = serverOf(invocation);
  const token = tokenOf(invocation.environment, stateFolder);
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, {
      method: options.method ?? "GET",
      headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (error) {
    throw new CliError(
      `no conductor answers at ${url} (${unreachable(error)}); start one with "conductor serve", or say with --config or --port which one you mean`,
    );
  }
  const body = (await response.json().catch(() => null)) as (T & { title?: string; detail?: string }) | null;
  if (response.ok && body !== null) return body;
  throw new CliError(
    `${body?.title ?? `${url}${path}: HTTP ${response.status}`}: ${body?.detail ?? "no detail"}`,
  );
}
