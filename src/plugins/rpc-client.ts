/** JSON-RPC 2.0 calls over anything that carries texts: ids, deadlines, streams, and answers nobody waits for. */

import type { Clock } from "../clock.ts";
import type { Json } from "../sdk/plugin.ts";
import { PendingCall } from "./pending-call.ts";
import { initialCredit } from "./stream-credit.ts";
import {
  type CallFailure,
  type CallOptions,
  type CallResult,
  type FailureKind,
  failed,
  largestMessageBytes,
  mostCallsInFlight,
  type Notice,
  type Transport,
  type TransportCounters,
} from "./transport.ts";

/**
 * Sends one text of at most `largestMessageBytes`; false when so much waits already that it is refused: over
 * `mostQueuedBytes` with it, where that is given, or what the socket itself takes.
 */
export type SendText = (text: string, mostQueuedBytes?: number) => boolean;

export interface RpcEvents {
  notice(notice: Notice): void;
  /** Something arrived that is no message, or that nobody ever waited for. Called for each; keep it cheap. */
  junk(what: string): void;
}

/** A call given up that may still be answered. */
interface GivenUp {
  /** The plugin was told. */
  told: boolean;
  /** Chunks that came since. */
  chunks: number;
}

/** Ids of calls given up, kept to tell a late answer from an unknown one. */
const mostGivenUp = 1_000;

export class RpcClient implements Transport {
  readonly counters: TransportCounters = {
    lateAnswers: 0,
    unknownAnswers: 0,
    garbageMessages: 0,
    droppedBytes: 0,
  };
  readonly #pending = new Map<number, PendingCall>();
  readonly #givenUp = new Map<number, GivenUp>();
  #nextId = 1;
  #closed: CallFailure | null = null;

  /** Of a call that was given up the other side is told with the notice `cancel {id}`, which wants no answer. */
  constructor(
    readonly clock: Clock,
    readonly send: SendText,
    readonly events: RpcEvents,
  ) {}

  get inFlight(): number {
    return this.#pending.size;
  }

  async call(method: string, params: Json, options: CallOptions): Promise<CallResult> {
    if (this.#closed) return this.#closed;
    if (options.signal?.aborted) return failed("cancelled", "the caller went away");
    if (this.#pending.size >= mostCallsInFlight)
      return failed("overload", `${mostCallsInFlight} calls wait for an answer`);
    const id = this.#nextId++;
    const text = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const bytes = Buffer.byteLength(text);
    if (bytes > largestMessageBytes)
      return failed("too-large", `${bytes} bytes: expected at most ${largestMessageBytes} in a message`);
    if (!this.send(text)) return failed("overload", "it does not read what is sent to it");
    const pending = new PendingCall(method, options, {
      clock: this.clock,
      grant: (credit) => this.notify("credit", { id, ...credit }),
      giveUp: (failure) => this.#giveUp(id, failure),
    });
    this.#pending.set(id, pending);
    return pending.result;
  }

  notify(method: string, params: Json, mostQueuedBytes?: number): boolean {
    if (this.#closed !== null) return false;
    return this.send(JSON.stringify({ jsonrpc: "2.0", method, params }), mostQueuedBytes);
  }

  #giveUp(id: number, failure: CallFailure): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#givenUp.set(id, { told: this.notify("cancel", { id }), chunks: 0 });
    if (this.#givenUp.size > mostGivenUp) {
      const oldest = this.#givenUp.keys().next();
      if (!oldest.done) this.#givenUp.delete(oldest.value);
    }
    this.#settle(id, pending, failure);
  }

  #settle(id: number, pending: PendingCall, result: CallResult): void {
    this.#pending.delete(id);
    pending.settle(result);
  }

  close(kind: FailureKind, message: string): void {
    this.#closed ??= failed(kind, message);
    for (const [id, pending] of [...this.#pending]) this.#settle(id, pending, failed(kind, message));
  }

  /** One text that came. */
  receive(text: string): void {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      this.garbage(Buffer.byteLength(text), "is no JSON");
      return;
    }
    if (typeof message !== "object" || message === null || Array.isArray(message)) {
      this.garbage(Buffer.byteLength(text), "is no JSON-RPC message");
      return;
    }
    const { id, method, params, result, error } = message as Record<string, Json | undefined>;
    if (typeof method === "string") {
      if (id !== undefined)
        this.garbage(Buffer.byteLength(text), "calls the conductor, which answers no calls");
      else if (method === "stream") this.#chunk(params ?? null, Buffer.byteLength(text));
      else this.events.notice({ method, params: params ?? null });
      return;
    }
    if (typeof id !== "number" || (result === undefined && error === undefined))
      this.garbage(Buffer.byteLength(text), "is no JSON-RPC answer");
    else this.#answered(id, result, error);
  }

  /** Counts `bytes` that are no message. */
  garbage(bytes: number, what: string): void {
    this.counters.garbageMessages++;
    this.counters.droppedBytes += bytes;
    this.events.junk(what);
  }

  #chunk(params: Json, bytes: number): void {
    const { id, chunk } = (typeof params === "object" && params !== null ? params : {}) as Record<
      string,
      Json
    >;
    if (typeof id !== "number" || chunk === undefined) {
      this.garbage(bytes, "is no chunk of a stream: expected params {id, chunk}");
      return;
    }
    const pending = this.#pending.get(id);
    if (pending) {
      pending.chunk(chunk, bytes);
      return;
    }
    const late = this.#givenUp.get(id);
    if (!late) this.counters.unknownAnswers++;
    else {
      this.counters.lateAnswers++;
      // It did not read when the call was given up, and it would wait for credit for ever.
      late.told ||= this.notify("cancel", { id });
      // These were under way, or had their credit.
      if (++late.chunks <= initialCredit.chunks) return;
    }
    this.events.junk("streams an answer to nothing that was asked");
  }

  /**
   * A message of `bytes` that was too long to keep; `head` is how it began. Whoever waits for it is told, where the
   * beginning still says who that is.
   */
  tooLong(head: string, bytes: number): void {
    const [, isChunk, digits] = envelope.exec(head) ?? [];
    const id = Number(digits);
    const pending = this.#pending.get(id);
    if (!pending) return;
    const text = `bytes: expected at most ${largestMessageBytes} in a message`;
    if (isChunk) this.#giveUp(id, failed("protocol", `a chunk of the answer has ${bytes} ${text}`));
    else this.#settle(id, pending, failed("protocol", `the answer has ${bytes} ${text}`));
  }

  #answered(id: number, result: Json | undefined, error: Json | undefined): void {
    const pending = this.#pending.get(id);
    if (!pending) {
      // One answer to each call that was given up is no junk: it may have crossed with the cancel.
      if (this.#givenUp.delete(id)) this.counters.lateAnswers++;
      else {
        this.counters.unknownAnswers++;
        this.events.junk("answers nothing that was asked");
      }
      return;
    }
    const answer: CallResult =
      error === undefined || error === null ? { ok: true, value: result ?? null } : pluginError(error);
    this.#settle(id, pending, answer);
  }
}

/** How an answer or a chunk begins when its id stands where ids usually do. */
const envelope =
  /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?("method"\s*:\s*"stream"\s*,\s*"params"\s*:\s*\{\s*)?"id"\s*:\s*(\d{1,15})\s*,/;

/** Longest error text of a plugin that is passed on. */
const mostErrorChars = 2_000;

function pluginError(error: Json): CallFailure {
  const { message, code } = (typeof error === "object" && !Array.isArray(error) ? error : {}) as Record<
    string,
    Json
  >;
  const text = typeof message === "string" && message ? message : JSON.stringify(error);
  const failure = failed("plugin-error", text.slice(0, mostErrorChars));
  return typeof code === "number" ? { ...failure, rpcCode: code } : failure;
}
