/** A model server that conductor starts and ends itself, such as llama-server; spoken to like any other server. */

import { sleep } from "../clock.ts";
import type { Driver, Piece } from "./driver.ts";
import type { EngineHealth, GenerateRequest, ReleaseProof } from "./engine.ts";
import { EngineError, type EngineFailure, engineError, quoted } from "./failure.ts";
import type { HttpPorts } from "./openai-driver.ts";
import type { HostedProcess, ProcessEnd, ProcessHost } from "./process-host.ts";

export interface CommandSettings {
  /** For logs and messages. */
  name: string;
  /** `{port}` in an argument or a variable stands for the port that it shall listen on, at 127.0.0.1. */
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  /** Answers 2xx when the model is ready; "/health" at llama-server. */
  healthPath: string;
  /** From SIGTERM to SIGKILL. */
  graceMs: number;
  mostGenerations: number;
}

export interface CommandPorts extends HttpPorts {
  host: ProcessHost;
  freePort(): Promise<number>;
  /** How the server is spoken to, once it listens: `baseUrl` is "http://127.0.0.1:PORT". */
  speak(baseUrl: string): Driver;
}

const readyPollMs = 50;
/** One look; a server that reads its model may take its time to answer. */
const lookMs = 2_000;
/** Between a connection that breaks and the notice that its process has ended. */
const endNoticeMs = 500;

export class CommandDriver implements Driver {
  readonly kind = "command";
  readonly mostGenerations: number;
  onEnded: ((failure: EngineFailure) => void) | null = null;
  readonly #settings: CommandSettings;
  readonly #ports: CommandPorts;
  #process: HostedProcess | null = null;
  #inner: Driver | null = null;
  #stopping = false;
  #end: ProcessEnd | null = null;

  constructor(settings: CommandSettings, ports: CommandPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.mostGenerations = settings.mostGenerations;
  }

  get model(): string {
    return this.#settings.name;
  }

  async load(signal: AbortSignal): Promise<{ contextTokens: number | null }> {
    const port = await this.#ports.freePort();
    signal.throwIfAborted();
    const child = await this.#start(port);
    const baseUrl = `http://127.0.0.1:${port}`;
    // The end of the process ends the waiting at once.
    const over = new AbortController();
    void child.ended.then((how) => {
      this.#end = how;
      over.abort();
      if (!this.#stopping) this.onEnded?.(this.#crash(how));
    });
    try {
      const enough = AbortSignal.any([signal, over.signal]);
      await this.#ready(baseUrl, enough);
      this.#inner = this.#ports.speak(baseUrl);
      return await this.#inner.load(enough);
    } catch (error) {
      if (this.#end === null || signal.aborted) throw error;
      throw new EngineError(this.#crash(this.#end));
    }
  }

  async #start(port: number): Promise<HostedProcess> {
    const { name, command, environment } = this.#settings;
    const filled = (text: string) => text.replaceAll("{port}", String(port));
    const started = await this.#ports.host.start({
      name,
      command: command.map(filled),
      environment: Object.fromEntries(Object.entries(environment).map(([key, text]) => [key, filled(text)])),
    });
    if (started.ok) {
      this.#stopping = false;
      this.#end = null;
      this.#process = started.process;
      return started.process;
    }
    if (started.missing)
      throw engineError("not-installed", started.message, `install ${command[0]}, or correct the command`);
    throw engineError("crashed", started.message, "correct the command");
  }

  async #ready(baseUrl: string, signal: AbortSignal): Promise<void> {
    const { call, clock } = this.#ports;
    for (;;) {
      const late = new AbortController();
      const timer = clock.after(lookMs, () => late.abort());
      try {
        const url = `${baseUrl}${this.#settings.healthPath}`;
        const look = AbortSignal.any([signal, late.signal]);
        const { status, body } = await call({ method: "GET", url, signal: look });
        await body[Symbol.asyncIterator]().return?.();
        if (status >= 200 && status < 300) return;
        if (status === 404)
          throw engineError(
            "bad-answer",
            `${this.model} listens, and answers 404 at ${this.#settings.healthPath}`,
            "correct the health path",
          );
      } catch (error) {
        if (signal.aborted || !isNotYet(error)) throw error;
      } finally {
        timer.cancel();
        late.abort();
      }
      await sleep(clock, readyPollMs, signal);
    }
  }

  #crash({ cause, lastLine, outOfMemory }: ProcessEnd): EngineFailure {
    const said = lastLine === null ? "" : `; last words: ${quoted(lastLine)}`;
    const message = `${this.model} ${cause}${said}`;
    return outOfMemory
      ? engineError("out-of-memory", message, "take a smaller model or context").failure
      : engineError("crashed", message, "run the command by hand to see what it says").failure;
  }

  async release(): Promise<ReleaseProof> {
    const child = this.#process;
    if (child === null) return "holds-nothing";
    this.#stopping = true;
    const { gone } = await child.stop(this.#settings.graceMs);
    if (!gone)
      throw engineError(
        "still-held",
        `some of the processes of ${this.model} cannot be ended`,
        "they are stuck in the kernel: look at them with ps, state D",
      );
    this.#process = null;
    this.#inner = null;
    return "process-gone";
  }

  async *stream(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<Piece, void> {
    if (this.#inner === null) throw engineError("not-loaded", `${this.model} does not run`, "load it first");
    try {
      yield* this.#inner.stream(request, signal);
    } catch (error) {
      throw await this.#causeOf(error);
    }
  }

  /** A connection that broke because the process ended is seen a moment before its end is. */
  async #causeOf(error: unknown): Promise<unknown> {
    const child = this.#process;
    if (child === null || !(error instanceof EngineError)) return error;
    if (error.failure.code !== "broken-stream" && error.failure.code !== "unreachable") return error;
    const enough = new AbortController();
    const patience = sleep(this.#ports.clock, endNoticeMs, enough.signal).catch(() => undefined);
    await Promise.race([child.ended, patience]);
    enough.abort();
    return this.#end === null ? error : new EngineError(this.#crash(this.#end));
  }

  async footprintBytes(): Promise<number | null> {
    return this.#process?.footprintBytes() ?? null;
  }

  async health(): Promise<EngineHealth> {
    if (this.#inner !== null) return this.#inner.health();
    const { failure } = engineError("not-loaded", `${this.model} does not run`, "load it first");
    return { status: "unhealthy", failure };
  }
}

/** It does not listen yet, or was too busy to answer one look. */
const isNotYet = (error: unknown): boolean =>
  error instanceof EngineError && ["unreachable", "aborted", "broken-stream"].includes(error.failure.code);
