/** The host's end of the socket to the conductor. */

import type { Json } from "../sdk/plugin.ts";
import { encodeFrame, FrameSplitter } from "./frame-splitter.ts";
import { largestMessageBytes } from "./transport.ts";

export interface Incoming {
  /** Absent: a notice, which is not answered. */
  id?: number;
  method: string;
  params: Json;
}

/** Bytes that wait for the conductor; log lines over that are dropped, answers are not. */
const mostQueuedBytes = 4 * 2 ** 20;

export class HostLink {
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #socket: Bun.Socket | null = null;
  #receive: ((message: Incoming) => void) | null = null;
  readonly #early: Incoming[] = [];
  readonly #splitter = new FrameSplitter(largestMessageBytes, {
    frame: (bytes) => this.#frame(bytes),
    tooLong: () => undefined, // The conductor sends none; nothing could be answered without an id.
  });

  private constructor() {}

  /** Opens descriptor `fd`; throws when it is no socket. `closed` is called when the conductor is gone. */
  static async open(fd: number, closed: () => void): Promise<HostLink> {
    const link = new HostLink();
    const options = {
      fd,
      socket: {
        data: (_: unknown, chunk: Buffer) => link.#splitter.push(chunk),
        drain: () => link.#flush(),
        end: closed,
        close: closed,
        error: closed,
      },
    };
    // Bun connects to a file descriptor, which its types do not tell.
    link.#socket = await Bun.connect(options as unknown as Bun.UnixSocketOptions<undefined>);
    link.#flush();
    return link;
  }

  /** From now on messages go to `receive`, those that came before first. */
  start(receive: (message: Incoming) => void): void {
    this.#receive = receive;
    for (const message of this.#early.splice(0)) receive(message);
  }

  result(id: number, value: unknown): void {
    const text = JSON.stringify({ jsonrpc: "2.0", id, result: value ?? null });
    const bytes = Buffer.byteLength(text);
    if (bytes <= largestMessageBytes) this.#send(text);
    else this.error(id, -32_000, `the answer has ${bytes} bytes: expected at most ${largestMessageBytes}`);
  }

  /** One part of the answer; yields the bytes of its message, throws when they are too many. Credit bounds how many wait. */
  chunk(id: number, chunk: unknown): number {
    const text = JSON.stringify({ jsonrpc: "2.0", method: "stream", params: { id, chunk: chunk ?? null } });
    const bytes = Buffer.byteLength(text);
    if (bytes > largestMessageBytes)
      throw new Error(`a chunk of the answer has ${bytes} bytes: expected at most ${largestMessageBytes}`);
    this.#send(text);
    return bytes;
  }

  error(id: number, code: number, message: string): void {
    const cut = message.slice(0, 4_000);
    this.#send(JSON.stringify({ jsonrpc: "2.0", id, error: { code, message: cut } }));
  }

  /** A log line; dropped when the conductor does not read, or when it is too long. */
  log(message: string, fields: Record<string, Json>): void {
    if (this.#queuedBytes > mostQueuedBytes) return;
    const text = JSON.stringify({ jsonrpc: "2.0", method: "log", params: { message, fields } });
    if (text.length <= largestMessageBytes / 4) this.#send(text);
  }

  #frame(bytes: Buffer): void {
    const message = JSON.parse(bytes.toString("utf8")) as Incoming;
    if (this.#receive) this.#receive(message);
    else this.#early.push(message);
  }

  #send(text: string): void {
    const frame = encodeFrame(text);
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
    this.#flush();
  }

  #flush(): void {
    for (let first = this.#queue[0]; first && this.#socket; first = this.#queue[0]) {
      const written = this.#socket.write(first);
      if (written < 0) return; // Closed: the callback for that ends the process.
      this.#queuedBytes -= written;
      if (written < first.length) {
        this.#queue[0] = first.subarray(written);
        return;
      }
      this.#queue.shift();
    }
  }
}
