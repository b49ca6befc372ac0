/**
 * Requests at a fixed pace, open loop: each is sent when it is due, whatever became of those before it, and its time counts
 * from then. A server that stops for a second is seen by every request that was due in it, not by one.
 */

import type { Socket } from "bun";
import { postHead } from "../http/raw-socket.ts";

export interface LoopAnswer {
  id: string;
  /** When it was to be sent, milliseconds since the epoch with fractions. */
  dueMs: number;
  /** From then to the whole answer. */
  latencyMs: number;
  /** 0: no answer, as the connection ended or the patience did. */
  status: number;
  body: string;
  /** Answers beyond the first that came on its connection before it was used again. */
  more: number;
}

export interface LoopOptions {
  port: number;
  perSecond: number;
  /** The whole request; `id` is unique within the loop. */
  text(id: string): string;
  /** Before each id, to tell loops apart. */
  prefix?: string;
  /** What is due and finds none of these free waits for one, in order; default: no bound. */
  mostConnections?: number;
}

/** A connection that was idle for longer may be closed by the server in the moment it is used again (after 5 s). */
const mostIdleMs = 2_000;
/** An answer is waited for so long. */
const patienceMs = 20_000;

export const epochMs = (): number => performance.timeOrigin + performance.now();

/** A POST of `body` as JSON. */
export function postText(port: number, path: string, body: unknown): string {
  const text = JSON.stringify(body);
  return `${postHead(port, path, Buffer.byteLength(text))}${text}`;
}

export const getText = (port: number, path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;

/** One keep-alive connection with at most one request on it. */
class Lane {
  answer: LoopAnswer | null = null;
  idleSinceMs = 0;
  #got = "";
  #socket: Socket | null = null;
  #last: LoopAnswer | null = null;

  constructor(readonly done: (lane: Lane, answer: LoopAnswer, usable: boolean) => void) {}

  async open(port: number): Promise<void> {
    this.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => this.#take(chunk.toString("latin1")),
        close: () => this.#over(),
        error: () => this.#over(),
      },
    });
  }

  /** `text` is short: it fits into the socket's buffer. */
  ask(answer: LoopAnswer, text: string): void {
    this.answer = answer;
    if (this.#socket && this.#socket.write(text) === text.length) return;
    this.#over();
  }

  close(): void {
    this.#socket?.end();
  }

  get closed(): boolean {
    return this.#socket === null || this.#socket.readyState !== 1;
  }

  #over(): void {
    const { answer } = this;
    this.answer = null;
    if (answer) this.done(this, answer, false);
  }

  #take(chunk: string): void {
    this.#got += chunk;
    for (;;) {
      const end = this.#got.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(this.#got.slice(0, end))?.[1] ?? 0);
      if (this.#got.length < end + 4 + length) return;
      const status = Number(this.#got.slice(9, 12));
      const body = this.#got.slice(end + 4, end + 4 + length);
      this.#got = this.#got.slice(end + 4 + length);
      const { answer } = this;
      if (!answer) {
        if (this.#last) this.#last.more++;
        continue;
      }
      this.answer = null;
      this.#last = answer;
      answer.latencyMs = epochMs() - answer.dueMs;
      Object.assign(answer, { status, body });
      this.done(this, answer, true);
    }
  }
}

export class OpenLoop {
  /** In the order in which they were due; those that wait still have status 0. */
  readonly answers: LoopAnswer[] = [];
  readonly #options: LoopOptions;
  #free: Lane[] = [];
  readonly #lanes = new Set<Lane>();
  /** Due, and not sent for want of a connection. */
  readonly #held: LoopAnswer[] = [];
  #heldFrom = 0;
  #waiting = 0;
  #running: Promise<void> | null = null;
  #stopped = false;
  #onIdle: (() => void) | null = null;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Sends no more, and waits until each was answered or given up. */
  async stop(): Promise<LoopAnswer[]> {
    this.#stopped = true;
    await this.#running;
    if (this.#waiting > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
      await Promise.race([idle, Bun.sleep(patienceMs)]);
    }
    for (const lane of this.#lanes) lane.close();
    return this.answers;
  }

  async #run(): Promise<void> {
    const { perSecond, prefix = "r" } = this.#options;
    const beganMs = epochMs();
    while (!this.#stopped) {
      const nowMs = epochMs();
      for (let n = this.answers.length; ; n++) {
        const dueMs = beganMs + (n * 1_000) / perSecond;
        if (dueMs > nowMs) break;
        this.#send({ id: `${prefix}${n}`, dueMs, latencyMs: Number.NaN, status: 0, body: "", more: 0 });
      }
      await Bun.sleep(1);
    }
  }

  #send(answer: LoopAnswer): void {
    this.answers.push(answer);
    this.#waiting++;
    this.#sendNow(answer);
  }

  #sendNow(answer: LoopAnswer): void {
    const lane = this.#take();
    if (!lane && this.#lanes.size >= (this.#options.mostConnections ?? Infinity)) {
      this.#held.push(answer);
      return;
    }
    const text = this.#options.text(answer.id);
    if (lane) {
      lane.ask(answer, text);
      return;
    }
    const fresh = new Lane((used, of, usable) => this.#done(used, of, usable));
    this.#lanes.add(fresh);
    fresh.open(this.#options.port).then(
      () => fresh.ask(answer, text),
      () => this.#done(fresh, answer, false),
    );
  }

  /** The connection that was used last, so that the others grow old and are closed. */
  #take(): Lane | null {
    const nowMs = performance.now();
    for (let lane = this.#free.pop(); lane; lane = this.#free.pop()) {
      if (!lane.closed && nowMs - lane.idleSinceMs < mostIdleMs) return lane;
      for (const old of [lane, ...this.#free.splice(0)]) {
        old.close();
        this.#lanes.delete(old);
      }
    }
    return null;
  }

  #done(lane: Lane, _: LoopAnswer, usable: boolean): void {
    this.#waiting--;
    if (usable) {
      lane.idleSinceMs = performance.now();
      this.#free.push(lane);
    } else this.#lanes.delete(lane);
    const next = this.#held[this.#heldFrom];
    if (next) {
      this.#heldFrom++;
      this.#sendNow(next);
    }
    if (this.#waiting === 0) this.#onIdle?.();
  }
}
