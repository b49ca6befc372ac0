/** One inherited socket to a child process: bounded writing, and reading that a flood cannot overwhelm. */

import { readSync } from "node:fs";
import type { Clock, Timer } from "../clock.ts";

/** Bytes that wait for a child that does not read; over that a write is refused. */
export const mostQueuedBytes = 4 * 2 ** 20;

/** Bytes taken from one child in one window; then reading pauses until the window ends, and the child waits. */
const windowBytes = 8 * 2 ** 20;
const windowMs = 100;
const pieceBytes = 32 * 1024;
/** Of what a child had written when it ended: more than the kernel holds in a socket. */
const mostRestBytes = 2 ** 20;

export interface SocketEvents {
  data(chunk: Buffer): void;
  /** The other side is gone; called once. */
  closed(): void;
}

/** A parent's end of a socket pair whose other end the child inherited. */
export class ByteSocket {
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #events: SocketEvents;
  readonly #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #socket: Bun.Socket | null = null;
  #closed = false;
  #ending = false;
  #windowEndsMs = 0;
  #windowUsedBytes = 0;
  #pause: Timer | null = null;

  private constructor(fd: number, clock: Clock, events: SocketEvents) {
    this.#fd = fd;
    this.#clock = clock;
    this.#events = events;
  }

  /** Takes over the file descriptor `fd`; it is closed with the socket. */
  static async open(fd: number, clock: Clock, events: SocketEvents): Promise<ByteSocket> {
    const self = new ByteSocket(fd, clock, events);
    const options = {
      fd,
      socket: {
        data: (_: unknown, chunk: Buffer) => self.#received(chunk),
        drain: () => self.#flush(),
        end: () => self.close(),
        close: () => self.close(),
        error: () => self.close(),
      },
    };
    // Bun connects to a file descriptor, which its types do not tell.
    const socket = await Bun.connect(options as unknown as Bun.UnixSocketOptions<undefined>);
    if (self.#closed) socket.terminate();
    else self.#socket = socket;
    self.#flush();
    return self;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** False when so much waits already that this is refused, or the socket is closed. */
  write(bytes: Uint8Array, most = mostQueuedBytes): boolean {
    if (this.#closed || this.#queuedBytes + bytes.length > most) return false;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#flush();
    return true;
  }

  /** Closes when what is queued has been written. */
  end(): void {
    if (this.#queue.length === 0) this.close();
    else this.#ending = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pause?.cancel();
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#socket?.terminate();
    this.#events.closed();
  }

  /**
   * Hands over at once what has come and was not read yet, at most 1 MiB, whether reading pauses or not: the end of a child
   * may be seen before all that it wrote. Waits for nothing, so a grandchild that keeps the other end holds up nobody.
   */
  readRest(): void {
    for (let bytes = 0; bytes < mostRestBytes && this.#socket && !this.#closed; ) {
      // Each piece is its own: what was handed over may be kept.
      const piece = Buffer.allocUnsafe(pieceBytes);
      const length = this.#readNow(piece);
      if (length === null) return;
      if (length === 0) this.close();
      else this.#events.data(piece.subarray(0, length));
      bytes += length;
    }
  }

  /** Bytes read; 0: the other side is gone; null: nothing is there now. */
  #readNow(piece: Buffer): number | null {
    try {
      return readSync(this.#fd, piece, 0, piece.length, null);
    } catch (error) {
      // Whatever else is wrong with it, nothing more will come.
      return (error as NodeJS.ErrnoException).code === "EAGAIN" ? null : 0;
    }
  }

  #flush(): void {
    for (;;) {
      const first = this.#queue[0];
      if (!this.#socket) return;
      if (!first) {
        if (this.#ending) this.close();
        return;
      }
      const written = this.#socket.write(first);
      if (written < 0) {
        this.close();
        return;
      }
      this.#queuedBytes -= written;
      if (written < first.length) {
        this.#queue[0] = first.subarray(written);
        return;
      }
      this.#queue.shift();
    }
  }

  #received(chunk: Buffer): void {
    if (this.#closed) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#windowEndsMs) {
      this.#windowEndsMs = nowMs + windowMs;
      this.#windowUsedBytes = 0;
    }
    this.#windowUsedBytes += chunk.length;
    if (this.#windowUsedBytes > windowBytes && !this.#pause) {
      this.#socket?.pause();
      this.#pause = this.#clock.after(this.#windowEndsMs - nowMs, () => {
        this.#pause = null;
        this.#socket?.resume();
      });
    }
    // In pieces, so that who finds one worthless can throw away the rest of them unread.
    for (let from = 0; from < chunk.length && !this.#closed; from += pieceBytes)
      this.#events.data(chunk.subarray(from, from + pieceBytes));
  }
}
