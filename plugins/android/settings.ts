/** The settings of the android plugin: read once, every mistake named with its key, value and what is allowed. */

import type { Json } from "conductor/plugin";

export interface Settings {
  host: string;
  /** 0 takes a free port; null means do not listen. */
  port: number | null;
  /** Null: only clients on this machine, and no web page. */
  token: string | null;
  maxClients: number;
  /** A client that is silent, and answers no ping, for this long is closed. */
  idleSeconds: number;
}

export const defaults: Settings = {
  host: "127.0.0.1",
  port: 8421,
  token: null,
  maxClients: 16,
  idleSeconds: 60,
};

const minTokenChars = 16;

/** Throws unless the token is long enough; the message never holds the token. */
function readToken(value: Json, key: string): string {
  if (typeof value === "string" && value.length >= minTokenChars && /^[\x21-\x7e]+$/.test(value))
    return value;
  const got = typeof value === "string" ? `${value.length} characters` : `a ${typeof value}`;
  throw new Error(
    `${key}: ${got}: expected at least ${minTokenChars} printable ASCII characters without spaces, such as from: openssl rand -hex 16`,
  );
}

/** Settings from the configuration, else the environment, else defaults. Throws one line that names the key. */
export function readSettings(
  config: Record<string, Json>,
  env: Record<string, string | undefined>,
  name: string,
): Settings {
  const at = (key: string) => `plugins.config.${name}.${key}`;
  const refuse = (key: string, value: Json, expected: string): never => {
    throw new Error(`${at(key)}: ${JSON.stringify(value).slice(0, 80)}: expected ${expected}`);
  };
  const whole = (key: "maxClients" | "idleSeconds", min: number, max: number): number => {
    const value = config[key] ?? defaults[key];
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    return refuse(key, value, `a whole number from ${min} to ${max}`);
  };

  const unknown = Object.keys(config).find((key) => !Object.hasOwn(defaults, key));
  if (unknown !== undefined)
    throw new Error(`${at(unknown)}: no such key; expected one of ${Object.keys(defaults).join(", ")}`);

  const host = config.host ?? defaults.host;
  if (typeof host !== "string" || !/^[A-Za-z0-9.:_-]{1,253}$/.test(host))
    return refuse("host", host, "an address to listen on, such as 127.0.0.1 or 0.0.0.0");
  const port = config.port ?? defaults.port;
  const isPort = typeof port === "number" && Number.isInteger(port) && port >= 0 && port <= 65_535;
  if (!isPort && port !== "off" && port !== false)
    return refuse("port", port, "a port from 1 to 65535, 0 for a free one, or off");
  const configured = config.token ?? null;
  const inherited = env.ANDROID_TOKEN || null;
  const token =
    configured !== null
      ? readToken(configured, at("token"))
      : inherited !== null
        ? readToken(inherited, "environment variable ANDROID_TOKEN")
        : null;
  return {
    host,
    port: isPort ? port : null,
    token,
    maxClients: whole("maxClients", 1, 1_000),
    idleSeconds: whole("idleSeconds", 8, 900),
  };
}
