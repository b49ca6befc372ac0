/** What a process writes outside its calls: stdout and stderr as log lines, read until it has ended. */

import { type Clock, sleep } from "../clock.ts";
import { ByteSocket } from "./byte-socket.ts";
import { LogLines } from "./log-lines.ts";

/** Unread output of an ended process is waited for so long. */
const flushMs = 200;
/** The last line is kept so far. */
const mostLastLine = 300;

export class OutputStreams {
  /** The last line it wrote to stderr; null when it wrote none. */
  lastLine: string | null = null;
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  readonly #emit: (stream: "stdout" | "stderr", line: string) => void;
  readonly #logs: LogLines[] = [];
  readonly #streams: { socket: ByteSocket; closed: Promise<void> }[] = [];

  constructor(
    clock: Clock,
    bytesPerSecond: number,
    emit: (stream: "stdout" | "stderr", line: string) => void,
  ) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#emit = emit;
  }

  /** Bytes thrown away because there was too much. */
  get droppedBytes(): number {
    return this.#logs.reduce((sum, { counters }) => sum + counters.droppedBytes, 0);
  }

  /** Takes over the descriptor `fd`, the parent's end. */
  async read(fd: number, stream: "stdout" | "stderr"): Promise<void> {
    const emit = (line: string) => {
      if (stream === "stderr") this.lastLine = line.slice(0, mostLastLine);
      this.#emit(stream, line);
    };
    const lines = new LogLines(this.#clock, emit, this.#bytesPerSecond);
    this.#logs.push(lines);
    const closed = Promise.withResolvers<void>();
    const socket = await ByteSocket.open(fd, this.#clock, {
      data: (chunk) => lines.push(chunk),
      closed: () => {
        lines.end();
        closed.resolve();
      },
    });
    this.#streams.push({ socket, closed: closed.promise });
  }

  /** Takes over a descriptor that nothing is read from, and keeps it open. */
  async hold(fd: number): Promise<void> {
    const silent = { data: () => undefined, closed: () => undefined };
    const socket = await ByteSocket.open(fd, this.#clock, silent);
    this.#streams.push({ socket, closed: Promise.resolve() });
  }

  /** Reads what an ended process has still written, and closes. */
  async finish(): Promise<void> {
    for (const { socket } of this.#streams) socket.readRest();
    const waiting = new AbortController();
    const patience = sleep(this.#clock, flushMs, waiting.signal).catch(() => undefined);
    await Promise.race([Promise.all(this.#streams.map(({ closed }) => closed)), patience]);
    waiting.abort();
    for (const { socket } of this.#streams) socket.close();
  }
}
