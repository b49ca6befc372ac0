/** The settings of the discord plugin: read once, every mistake named with its key, value and what is allowed. */

import type { Json } from "conductor/plugin";

export interface Settings {
  /** 64 lower-case hex digits; null when none was given. */
  publicKey: string | null;
  /** 0 takes a free port; null means do not listen. */
  port: number | null;
  /** Largest age, or distance into the future, of a signed timestamp. */
  toleranceSeconds: number;
}

const known = ["publicKey", "port", "toleranceSeconds"];

const isWhole = (value: Json | undefined, min: number, max: number): value is number =>
  Number.isInteger(value) && Number(value) >= min && Number(value) <= max;

function readPublicKey(value: Json, key: string): string {
  const text = typeof value === "string" ? value.trim() : "";
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new Error(
    `${key}: ${JSON.stringify(value).slice(0, 80)}: expected 64 hex digits (32 bytes), the "Public Key" of the application in Discord's developer portal`,
  );
}

/** Settings from the configuration, else the environment, else defaults. Throws one line that names the key. */
export function readSettings(
  config: Record<string, Json>,
  env: Record<string, string | undefined>,
  name: string,
): Settings {
  const at = (key: string) => `plugins.config.${name}.${key}`;
  const unknown = Object.keys(config).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new Error(`${at(unknown)}: no such key; expected one of ${known.join(", ")}`);

  const port = config.port ?? "off";
  if (port !== "off" && port !== false && !isWhole(port, 0, 65_535))
    throw new Error(
      `${at("port")}: ${JSON.stringify(port)}: expected a port from 1 to 65535, 0 for a free one, or off`,
    );
  const toleranceSeconds = config.toleranceSeconds ?? 300;
  if (!isWhole(toleranceSeconds, 5, 3_600))
    throw new Error(
      `${at("toleranceSeconds")}: ${JSON.stringify(toleranceSeconds)}: expected a whole number from 5 to 3600`,
    );
  const configured = config.publicKey ?? null;
  const inherited = env.DISCORD_PUBLIC_KEY || null;
  const publicKey =
    configured !== null
      ? readPublicKey(configured, at("publicKey"))
      : inherited !== null
        ? readPublicKey(inherited, "environment variable DISCORD_PUBLIC_KEY")
        : null;
  return { publicKey, port: typeof port === "number" ? port : null, toleranceSeconds };
}
