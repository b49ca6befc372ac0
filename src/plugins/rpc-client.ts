/** JSON-RPC 2.0 calls over anything that carries texts: ids, deadlines, and answers nobody waits for. */

import type { Clock, Timer } from "../clock.ts";
import type { Json } from "../sdk/plugin.ts";
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

/** Sends one text of at most `largestMessageBytes`; false when so much waits already that it is refused. */
export type SendText = (text: string) => boolean;

export interface RpcEvents {
  notice(notice: Notice): void;
  /** Something arrived that is no message, or that nobody waits for. Called for each; keep it cheap. */
  junk(what: string): void;
}

interface Pending {
  settle(result: CallResult): void;
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
  readonly #pending = new Map<number, Pending>();
  readonly #givenUp = new Set<number>();
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

  async call(method: string, params: Json, { timeoutMs, signal }: CallOptions): Promise<CallResult> {
    if (this.#closed) return this.#closed;
    if (signal?.aborted) return failed("cancelled", "the caller went away");
    if (this.#pending.size >= mostCallsInFlight)
      return failed("overload", `${mostCallsInFlight} calls wait for an answer`);
    const id = this.#nextId++;
    const text = JSON.stringify({ jsonrpc: "2.0", id, method, params });
    const bytes = Buffer.byteLength(text);
    if (bytes > largestMessageBytes)
      return failed("too-large", `${bytes} bytes: expected at most ${largestMessageBytes} in a message`);
    if (!this.send(text)) return failed("overload", "it does not read what is sent to it");
    return this.#answer(id, method, timeoutMs, signal);
  }

  #answer(id: number, method: string, timeoutMs: number, signal?: AbortSignal): Promise<CallResult> {
    return new Promise((resolve) => {
      const timer: Timer = this.clock.after(timeoutMs, () =>
        this.#giveUp(id, failed("timeout", `no answer to ${method} within ${Math.round(timeoutMs)} ms`)),
      );
      const onAbort = () => this.#giveUp(id, failed("cancelled", "the caller went away"));
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(id, {
        settle: (result) => {
          this.#pending.delete(id);
          timer.cancel();
          signal?.removeEventListener("abort", onAbort);
          resolve(result);
        },
      });
    });
  }

  #giveUp(id: number, failure: CallFailure): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#givenUp.add(id);
    if (this.#givenUp.size > mostGivenUp) {
      const oldest = this.#givenUp.values().next();
      if (!oldest.done) this.#givenUp.delete(oldest.value);
    }
    pending.settle(failure);
    this.notify("cancel", { id });
  }

  notify(method: string, params: Json): boolean {
    return this.#closed === null && this.send(JSON.stringify({ jsonrpc: "2.0", method, params }));
  }

  close(kind: FailureKind, message: string): void {
    this.#closed ??= failed(kind, message);
    for (const pending of [...this.#pending.values()]) pending.settle(failed(kind, message));
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
      if (id === undefined) this.events.notice({ method, params: params ?? null });
      else this.garbage(Buffer.byteLength(text), "calls the conductor, which answers no calls");
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

  #answered(id: number, result: Json | undefined, error: Json | undefined): void {
    const pending = this.#pending.get(id);
    if (!pending) {
      if (this.#givenUp.delete(id)) this.counters.lateAnswers++;
      else this.counters.unknownAnswers++;
      this.events.junk("answers nothing that was asked");
      return;
    }
    if (error === undefined || error === null) pending.settle({ ok: true, value: result ?? null });
    else pending.settle(pluginError(error));
  }
}

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
