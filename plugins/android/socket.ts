/** The WebSocket server: who may connect, how long a silent or slow client is kept. */

import { createHash, timingSafeEqual } from "node:crypto";
import type { Settings } from "./settings.ts";

export interface Peer {
  device: string;
}

export type Socket = Bun.ServerWebSocket<Peer>;

export interface SocketEvents {
  /** False when the most clients are connected and `device` is none of them. */
  hasRoom: (device: string) => boolean;
  opened: (socket: Socket) => void;
  received: (socket: Socket, text: string | Buffer) => void;
  closed: (socket: Socket) => void;
}

/** Largest frame from an app. */
const maxFrameBytes = 16 * 1024;

/** A client that reads so slowly that more than this waits for it is closed. */
const maxUnsentBytes = 1024 * 1024;

const devicePattern = /^[A-Za-z0-9._-]{1,64}$/;

/** True for a device's id: 1 to 64 of A-Z a-z 0-9 . _ - */
export const isDevice = (value: unknown): value is string =>
  typeof value === "string" && devicePattern.test(value);

const refuse = (status: number, error: string, headers: Record<string, string> = {}): Response =>
  Response.json({ error }, { status, headers });

/** Compares in the same time for every wrong token, whatever its length. */
function sameToken(given: string, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

const isLoopback = (address: string): boolean =>
  address === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);

/** Why this client may not connect, or null. */
function unauthorised(request: Request, address: string, token: string | null): Response | null {
  if (token !== null) {
    const given = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    if (given !== undefined && sameToken(given, token)) return null;
    return refuse(401, "expected the header Authorization: Bearer TOKEN with the plugin's token", {
      "www-authenticate": "Bearer",
    });
  }
  if (!isLoopback(address))
    return refuse(403, "without a token only clients on this machine are let in: set the plugin's token");
  // A browser lets any page open a WebSocket to this machine, and a proxy makes everyone local.
  for (const header of ["origin", "forwarded", "x-forwarded-for"])
    if (request.headers.has(header))
      return refuse(403, `without a token no web page or proxy is let in (header ${header}): set a token`);
  return null;
}

function answerHttp(
  request: Request,
  server: Bun.Server<Peer>,
  settings: Settings,
  events: SocketEvents,
): Response | undefined {
  const url = new URL(request.url);
  if (url.pathname !== "/connect") return refuse(404, "no such path; apps connect to /connect?device=ID");
  const refused = unauthorised(request, server.requestIP(request)?.address ?? "", settings.token);
  if (refused) return refused;
  const device = url.searchParams.get("device");
  if (!isDevice(device)) return refuse(400, "device: expected 1 to 64 of A-Z a-z 0-9 . _ - in ?device=ID");
  if (!events.hasRoom(device))
    return refuse(503, `${settings.maxClients} clients are connected already (maxClients)`, {
      "retry-after": "30",
    });
  if (server.upgrade(request, { data: { device } })) return undefined;
  return refuse(426, "this is a WebSocket: connect with ws://", { upgrade: "websocket" });
}

/** Listens on settings.host and `port`. Throws what Bun.serve throws when that cannot be had. */
export function listen(port: number, settings: Settings, events: SocketEvents): Bun.Server<Peer> {
  return Bun.serve<Peer>({
    hostname: settings.host,
    port,
    idleTimeout: 10,
    maxRequestBodySize: 1024,
    fetch: (request, server) => answerHttp(request, server, settings, events),
    error: (error) => refuse(500, `this connection failed: ${error.message}`),
    websocket: {
      idleTimeout: settings.idleSeconds,
      sendPings: true,
      maxPayloadLength: maxFrameBytes,
      backpressureLimit: maxUnsentBytes,
      closeOnBackpressureLimit: true,
      open: events.opened,
      message: events.received,
      close: events.closed,
    },
  });
}
