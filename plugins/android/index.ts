/**
 * android: pushes to an app over a WebSocket, and keeps what the app says.
 *
 * Requests through the conductor:
 *   type "push" (or "message"): payload is anything of at most 64 KiB; payload.device chooses one device
 *       -> { delivered, devices, queued }     delivered: written to that many sockets, at most once, unconfirmed
 *   type "inbox", payload { clear?: true } -> { messages: [{ id, device, at, payload }], dropped }
 *   type "status" -> what is connected and waiting
 * Frames to the app: { type: "push", id, at, payload }, { type: "ack", id }, { type: "pong" }, { type: "error", error }.
 * Frames from the app: { type: "message", id, payload }, { type: "ping" }.
 * A mistake of the caller is an answer { error: { code, message } }: throwing would count against the plugin.
 */

import {
  definePlugin,
  type HealthReport,
  type Json,
  type PluginDefinition,
  type PluginRequest,
} from "conductor/plugin";
import { Backlog } from "./backlog.ts";
import { defaults, readSettings, type Settings } from "./settings.ts";
import { isDevice, listen, type Socket } from "./socket.ts";

/** What the plugin takes from its surroundings. */
export interface Surroundings {
  nowMs: () => number;
  env: Record<string, string | undefined>;
}

const system: Surroundings = { nowMs: () => Date.now(), env: process.env };

/** Pushes that wait for a client, and messages from apps: the oldest make room. */
const queueBounds = { maxCount: 100, maxBytes: 256 * 1024, maxAgeMs: 3_600_000 };
const inboxBounds = { maxCount: 100, maxBytes: 256 * 1024, maxAgeMs: 86_400_000 };
const maxPushBytes = 64 * 1024;

const badRequest = (message: string): Json => ({ error: { code: "bad-request", message } });

const isRecord = (value: Json | undefined): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

class Android {
  #settings: Settings = defaults;
  #settingsPath = "plugins.config.android";
  #server: ReturnType<typeof listen> | null = null;
  #listenError = "";
  #stopped = false;
  /** One socket a device: a phone that comes back takes the place of its own dead connection. */
  readonly #clients = new Map<string, Socket>();
  readonly #queue = new Backlog(queueBounds);
  readonly #inbox = new Backlog(inboxBounds);

  constructor(readonly around: Surroundings) {}

  start(config: Record<string, Json>, name: string): void {
    this.#settings = readSettings(config, this.around.env, name);
    this.#settingsPath = `plugins.config.${name}`;
    this.#listen();
  }

  /** Tried again at every health check, so a port that becomes free is taken without a restart. */
  #listen(): void {
    if (this.#settings.port === null || this.#server || this.#stopped) return;
    try {
      this.#server = listen(this.#settings.port, this.#settings, {
        hasRoom: (device) => this.#clients.has(device) || this.#clients.size < this.#settings.maxClients,
        opened: (socket) => this.#opened(socket),
        received: (socket, text) => {
          socket.send(JSON.stringify(this.#received(socket.data.device, text)));
        },
        closed: (socket) => {
          if (this.#clients.get(socket.data.device) === socket) this.#clients.delete(socket.data.device);
        },
      });
    } catch (error) {
      this.#listenError = error instanceof Error ? error.message : String(error);
    }
  }

  health(): HealthReport {
    this.#listen();
    const { host, port } = this.#settings;
    if (port === null) return { status: "healthy", detail: "not listening, as port is off" };
    if (!this.#server)
      return {
        status: "unhealthy",
        detail: `cannot listen on ${host}:${port} (${this.#listenError}): free it or set ${this.#settingsPath}.port to another port, or to off`,
      };
    const { count } = this.#queue;
    return {
      status: "healthy",
      detail: `listening on ${host}:${this.#server.port}; ${this.#clients.size} connected, ${count} waiting`,
    };
  }

  #opened(socket: Socket): void {
    const { device } = socket.data;
    const older = this.#clients.get(device);
    this.#clients.set(device, socket);
    older?.close(4000, "replaced by a newer connection");
    // 0 is "not sent"; -1 is "waits for a slow client", who then gets it or is closed.
    this.#queue.drain(device, this.around.nowMs(), (push) => socket.send(push.text) !== 0);
  }

  /** The frame that answers one of the app's. */
  #received(device: string, text: string | Buffer): Json {
    const bad = (error: string): Json => ({ type: "error", error });
    if (typeof text !== "string") return bad("expected a text frame with JSON");
    let frame: Json;
    try {
      frame = JSON.parse(text);
    } catch (error) {
      return bad(`not JSON: ${error instanceof Error ? error.message : "unreadable"}`);
    }
    if (!isRecord(frame)) return bad("expected a JSON object");
    if (frame.type === "ping") return { type: "pong" };
    if (frame.type !== "message") return bad('type: expected "message" or "ping"');
    const { id } = frame;
    if (typeof id !== "string" || id === "" || id.length > 64)
      return bad("id: expected a text of 1 to 64 characters");
    // An app that missed the acknowledgement sends again: acknowledge, keep once.
    if (!this.#inbox.has(device, id)) {
      const atMs = this.around.nowMs();
      this.#inbox.add({ id, device, text: JSON.stringify(frame.payload ?? null), atMs }, atMs);
    }
    return { type: "ack", id };
  }

  push(request: PluginRequest): Json {
    const { id, payload } = request;
    if (payload === null) return badRequest("payload: expected something to push");
    const device = isRecord(payload) ? (payload.device ?? null) : null;
    if (device !== null && !isDevice(device))
      return badRequest("payload.device: expected 1 to 64 of A-Z a-z 0-9 . _ -");
    const atMs = this.around.nowMs();
    const text = JSON.stringify({ type: "push", id, at: new Date(atMs).toISOString(), payload });
    if (Buffer.byteLength(text) > maxPushBytes)
      return badRequest(`payload: ${Buffer.byteLength(text)} bytes as a frame: at most ${maxPushBytes}`);

    const devices = [...this.#clients]
      .filter(([name]) => device === null || name === device)
      .filter(([, socket]) => socket.send(text) !== 0)
      .map(([name]) => name);
    if (devices.length > 0) return { delivered: devices.length, devices, queued: false };
    const before = this.#queue.dropped;
    this.#queue.add({ id, device, text, atMs }, atMs);
    return {
      delivered: 0,
      devices,
      queued: true,
      waiting: this.#queue.count,
      waitingBytes: this.#queue.usedBytes,
      /** Older pushes that made room for this one, or were over their age. */
      dropped: this.#queue.dropped - before,
    };
  }

  inbox(payload: Json): Json {
    const messages = this.#inbox.list(this.around.nowMs()).map(({ id, device, text, atMs }) => ({
      id,
      device,
      at: new Date(atMs).toISOString(),
      payload: JSON.parse(text) as Json,
    }));
    if (isRecord(payload) && payload.clear === true) this.#inbox.clear();
    return { messages, dropped: this.#inbox.dropped };
  }

  status(): Json {
    this.#queue.expire(this.around.nowMs());
    return {
      port: this.#server?.port ?? null,
      devices: [...this.#clients.keys()],
      waiting: this.#queue.count,
      waitingBytes: this.#queue.usedBytes,
      dropped: this.#queue.dropped,
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const server = this.#server;
    this.#server = null;
    // Closes every client with 1001, "going away".
    await server?.stop(true);
  }
}

/** A fresh instance; the default export is the one that the conductor runs. */
export function createAndroid(around: Surroundings = system): PluginDefinition {
  const android = new Android(around);
  return {
    initialize(config, context) {
      android.start(config, context.name);
      const { status, detail } = android.health();
      context.log("ready", { status, detail: detail ?? "" });
    },
    healthCheck: () => android.health(),
    handleRequest(request) {
      if (request.type === "push" || request.type === "message") return android.push(request);
      if (request.type === "inbox") return android.inbox(request.payload);
      if (request.type === "status") return android.status();
      return badRequest(`type "${request.type.slice(0, 40)}": expected push, message, inbox or status`);
    },
    shutdown: () => android.stop(),
  };
}

export default definePlugin(createAndroid());
