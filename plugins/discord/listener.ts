/** The loopback HTTP server that Discord reaches through a tunnel or reverse proxy. */

import type { InteractionAnswer } from "./commands.ts";
import type { Signed } from "./signature.ts";

/** Interactions are a few KiB; a body over this is refused with 413. */
export const maxBodyBytes = 64 * 1024;

/** A client that sends or reads nothing for this long is cut off. */
const idleSeconds = 10;

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  Response.json(body, { status, headers });

/** The body, or null when it is larger than `maxBodyBytes`; never holds more than that and one chunk. */
async function readBody(request: Request): Promise<Buffer | null> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBodyBytes) return null;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Serves `answer` on 127.0.0.1. Throws what Bun.serve throws when the port cannot be had. */
export function listen(port: number, answer: (signed: Signed) => InteractionAnswer) {
  return Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: idleSeconds,
    // Above our own limit, so that a body over it gets our answer and not an empty one.
    maxRequestBodySize: 4 * maxBodyBytes,
    async fetch(request) {
      const path = new URL(request.url).pathname;
      if (path !== "/" && path !== "/interactions")
        return json(404, { error: `no such path; Discord's interactions are taken at POST /interactions` });
      if (request.method !== "POST")
        return json(405, { error: `${request.method} is not supported; expected POST` }, { allow: "POST" });
      const body = await readBody(request);
      if (body === null) return json(413, { error: `the body is larger than ${maxBodyBytes} bytes` });
      const { status, body: answered } = answer({
        signature: request.headers.get("x-signature-ed25519") ?? "",
        timestamp: request.headers.get("x-signature-timestamp") ?? "",
        body,
      });
      return json(status, answered);
    },
    error: (error) => json(500, { error: `this interaction failed: ${error.message}` }),
  });
}
