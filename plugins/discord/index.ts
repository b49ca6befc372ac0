/**
 * discord: Discord's HTTP interactions and the same commands as plain requests.
 *
 * Requests through the conductor:
 *   { type: "message", payload: "!ping" }  or  payload: { command: "echo", text: "hi" }
 *       -> { command, reply, known }
 *   { type: "interaction", payload: { signature, timestamp, body } }   body: the raw text
 *       -> { status, body }: what to answer Discord with
 * A mistake of the caller is an answer { error: { code, message } }: throwing would count against the plugin.
 */

import type { KeyObject } from "node:crypto";
import { definePlugin, type HealthReport, type Json, type PluginDefinition } from "conductor/plugin";
import { answerInteraction, type InteractionAnswer, runCommand, type Standing } from "./commands.ts";
import { listen, maxBodyBytes } from "./listener.ts";
import { readSettings, type Settings } from "./settings.ts";
import { importPublicKey, refusal, type Signed } from "./signature.ts";

/** What the plugin takes from its surroundings. */
export interface Surroundings {
  nowMs: () => number;
  env: Record<string, string | undefined>;
}

const system: Surroundings = { nowMs: () => Date.now(), env: process.env };

const badRequest = (message: string): Json => ({ error: { code: "bad-request", message } });

const isRecord = (value: Json | undefined): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** "!echo a b", { command: "echo a b" } or { command: "echo", text: "a b" } as a name and a text. */
function parseCommand(payload: Json): { name: string; text: string } | null {
  const line = isRecord(payload) ? (payload.command ?? payload.content) : payload;
  if (typeof line !== "string" || line.trim() === "") return null;
  const [name = "", ...rest] = line.trim().split(/\s+/);
  const text = isRecord(payload) && typeof payload.text === "string" ? payload.text : rest.join(" ");
  return { name, text };
}

class Discord {
  #settings: Settings = { publicKey: null, port: null, toleranceSeconds: 300 };
  #key: KeyObject | null = null;
  #server: ReturnType<typeof listen> | null = null;
  #listenError = "";
  #keyName = "plugins.config.discord.publicKey";
  #portName = "plugins.config.discord.port";
  #startedMs = 0;
  #answered = 0;
  #refused = 0;

  constructor(readonly around: Surroundings) {}

  start(config: Record<string, Json>, name: string): void {
    this.#settings = readSettings(config, this.around.env, name);
    this.#key = this.#settings.publicKey === null ? null : importPublicKey(this.#settings.publicKey);
    this.#keyName = `plugins.config.${name}.publicKey`;
    this.#portName = `plugins.config.${name}.port`;
    this.#startedMs = this.around.nowMs();
    this.#listen();
  }

  /** The port that was taken; null when not listening. */
  get port(): number | null {
    return this.#server?.port ?? null;
  }

  /** Tried again at every health check, so a port that becomes free is taken without a restart. */
  #listen(): void {
    if (this.#settings.port === null || this.#server) return;
    try {
      this.#server = listen(this.#settings.port, (signed) => this.interact(signed));
    } catch (error) {
      this.#listenError = error instanceof Error ? error.message : String(error);
    }
  }

  health(): HealthReport {
    this.#listen();
    const { port } = this.#settings;
    if (port !== null && !this.#server)
      return {
        status: "unhealthy",
        detail: `cannot listen on 127.0.0.1:${port} (${this.#listenError}): free the port or set ${this.#portName} to another one`,
      };
    if (!this.#key)
      return {
        status: "degraded",
        detail: `interactions are refused: set ${this.#keyName} (or DISCORD_PUBLIC_KEY) to the application's public key; plain commands work`,
      };
    const where = this.#server
      ? `listening on 127.0.0.1:${this.#server.port}`
      : "not listening, as no port is set";
    return { status: "healthy", detail: `${where}; ${this.#answered} answered, ${this.#refused} refused` };
  }

  #standing(): Standing {
    const uptimeSeconds = (this.around.nowMs() - this.#startedMs) / 1000;
    return { uptimeSeconds, answered: this.#answered, refused: this.#refused };
  }

  /** Verifies, then answers; counts which of the two it was. */
  interact(signed: Signed): InteractionAnswer {
    const answer = this.#judge(signed);
    if (answer.status === 200) this.#answered++;
    else this.#refused++;
    return answer;
  }

  #judge(signed: Signed): InteractionAnswer {
    if (!this.#key)
      return { status: 503, body: { error: `no public key: set ${this.#keyName} or DISCORD_PUBLIC_KEY` } };
    const reason = refusal(signed, this.#key, this.#settings.toleranceSeconds, this.around.nowMs());
    if (reason !== null) return { status: 401, body: { error: reason } };
    return answerInteraction(Buffer.from(signed.body).toString(), this.#standing());
  }

  /** A raw interaction that came through the conductor. */
  relay(payload: Json): Json {
    if (!isRecord(payload)) return badRequest("payload must be { signature, timestamp, body }");
    const { signature, timestamp, body } = payload;
    if (typeof signature !== "string" || typeof timestamp !== "string" || typeof body !== "string")
      return badRequest(
        "payload.signature, payload.timestamp and payload.body must be texts, body as received",
      );
    if (Buffer.byteLength(body) > maxBodyBytes)
      return { status: 413, body: { error: `the body is larger than ${maxBodyBytes} bytes` } };
    const answer = this.interact({ signature, timestamp, body });
    return { status: answer.status, body: answer.body };
  }

  command(payload: Json): Json {
    const parsed = parseCommand(payload);
    if (!parsed) return badRequest('payload must be a text such as "!ping" or { command: "ping" }');
    const { reply, known } = runCommand(parsed.name, parsed.text, this.#standing());
    this.#answered++;
    return { command: parsed.name, reply, known };
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.#settings = { ...this.#settings, port: null };
    await server?.stop(true);
  }
}

/** A fresh instance; the default export is the one that the conductor runs. */
export function createDiscord(around: Surroundings = system): PluginDefinition {
  const discord = new Discord(around);
  return {
    initialize(config, context) {
      discord.start(config, context.name);
      context.log("ready", { port: discord.port });
    },
    healthCheck: () => discord.health(),
    handleRequest(request) {
      if (request.type === "interaction") return discord.relay(request.payload);
      if (request.type === "message" || request.type === "command") return discord.command(request.payload);
      return badRequest(`type "${request.type.slice(0, 40)}": expected message, command or interaction`);
    },
    shutdown: () => discord.stop(),
  };
}

export default definePlugin(createDiscord());
