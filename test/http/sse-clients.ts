/** Clients of server-sent events: one that reads what comes, and one that takes nothing. */

import { connect, type Socket } from "node:net";

export class SseClients {
  readonly #ends: (() => void)[] = [];

  /** Reads events as they come. */
  async follow(url: string, headers: Record<string, string> = {}) {
    const abort = new AbortController();
    const response = await fetch(url, { headers, signal: abort.signal });
    const seen = { text: "", ended: false };
    const read = async () => {
      try {
        for await (const chunk of response.body ?? []) seen.text += Buffer.from(chunk).toString();
      } catch (error) {
        if (!abort.signal.aborted) throw error;
      } finally {
        seen.ended = true;
      }
    };
    void read();
    const end = () => abort.abort();
    this.#ends.push(end);
    return { response, seen, end };
  }

  /** Connects, and never reads more than the beginning. */
  async stall(port: number, path: string): Promise<void> {
    const socket: Socket = connect(port, "127.0.0.1");
    this.#ends.push(() => socket.destroy());
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    await new Promise((resolve) => socket.once("readable", resolve));
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

/** Bytes of the heap that are in use. */
export function heldBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}
