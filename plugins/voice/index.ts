/**
 * voice: speaks text to WAV through espeak-ng.
 *
 * Requests through the conductor, type "speak" (or "message"):
 *   payload: "text"  or  { text, voice?, speed?, pitch? }
 *       -> { format: "wav", bytes, durationMs, voice, base64 }  or, when that is too large,  { ..., path }
 * A mistake of the caller is an answer { error: { code, message } }: throwing would count against the plugin.
 * A missing or failing espeak-ng throws, so that a fallback can answer.
 */

import { definePlugin, type Json, type PluginDefinition, type RequestContext } from "conductor/plugin";
import { SpeechError, speak } from "./espeak.ts";
import { defaults, InvalidValue, readManner, readSettings, type Settings } from "./settings.ts";
import { keepSpeech } from "./speech-files.ts";
import { finishWav } from "./wav.ts";

/** What the plugin takes from its surroundings. */
export interface Surroundings {
  nowMs: () => number;
  /** The full path of a program, or null. */
  which: (program: string) => string | null;
}

/** Where programs are looked for when the process was given no PATH. */
const usualPath = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin";

const system: Surroundings = {
  nowMs: () => Date.now(),
  which: (program) => Bun.which(program, { PATH: process.env.PATH || usualPath }),
};

const maxTextChars = 5_000;
/** One message between plugin and conductor holds 1 MB; the rest of the answer is small. */
const maxBase64Bytes = 700_000;
/** As in the manifest; it holds as well where another host does not. */
const maxSpeeches = 2;

const refused = (code: string, message: string): Json => ({ error: { code, message } });

const isRecord = (value: Json | undefined): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

class Voice {
  #settings: Settings = defaults;
  #dataFolder: string | null = null;
  #running = 0;
  readonly #stopping = new AbortController();
  readonly #speeches = new Set<Promise<unknown>>();

  constructor(readonly around: Surroundings) {}

  start(config: Record<string, Json>, name: string, dataFolder: string | null): void {
    this.#settings = readSettings(config, name);
    this.#dataFolder = dataFolder;
  }

  /** The program's path, or how to get it. */
  find(): { program: string } | { remedy: string } {
    const { program } = this.#settings;
    const path = this.around.which(program);
    if (path !== null) return { program: path };
    return {
      remedy: `${program} is not installed: apt-get install espeak-ng (Debian, Ubuntu), dnf install espeak-ng (Fedora), brew install espeak-ng (macOS)`,
    };
  }

  /** Speaks one request's text. Throws what is the plugin's own failure. */
  async answer(payload: Json, context: RequestContext): Promise<Json> {
    const found = this.find();
    if ("remedy" in found) throw new Error(found.remedy);
    try {
      return await this.#speak(payload, found.program, context);
    } catch (error) {
      const callers = error instanceof InvalidValue || error instanceof SpeechError ? error : null;
      if (callers?.code === "bad-request" || callers?.code === "too-long")
        return refused(callers.code, callers.message);
      throw error;
    }
  }

  async #speak(payload: Json, program: string, context: RequestContext): Promise<Json> {
    const values = isRecord(payload) ? payload : { text: payload };
    const { text } = values;
    if (typeof text !== "string" || text.trim() === "")
      return refused("bad-request", "payload.text: expected a text to speak");
    if (text.length > maxTextChars)
      return refused("bad-request", `payload.text: ${text.length} characters: at most ${maxTextChars}`);
    const manner = readManner(values, this.#settings, "payload.");
    if (this.#running >= maxSpeeches)
      return refused("busy", `${maxSpeeches} speeches are being made already: try again in a second`);
    this.#running++;
    try {
      const signal = AbortSignal.any([context.signal, this.#stopping.signal]);
      const { timeoutMs } = this.#settings;
      const finished = finishWav(await speak({ program, text, manner, timeoutMs, signal }));
      if (!finished) return refused("bad-request", "payload.text: espeak-ng finds nothing to say in it");
      return await this.#hand(finished.wav, { durationMs: finished.durationMs, voice: manner.voice });
    } finally {
      this.#running--;
    }
  }

  /** In the answer itself when it fits, else as a file. */
  async #hand(wav: Buffer, about: Record<string, Json>): Promise<Json> {
    const answer = { format: "wav", bytes: wav.length, ...about };
    const base64Bytes = Math.ceil(wav.length / 3) * 4;
    if (base64Bytes <= maxBase64Bytes) return { ...answer, base64: wav.toString("base64") };
    if (this.#dataFolder !== null)
      return { ...answer, path: await keepSpeech(this.#dataFolder, wav, this.around.nowMs()) };
    return refused(
      "too-long",
      `${base64Bytes} bytes of base64, at most ${maxBase64Bytes} fit an answer, and this plugin has no data folder for a file: shorten the text`,
    );
  }

  /** Remembers the speech until it ended, so that `stop` can wait for it. */
  track(speech: Promise<Json>): Promise<Json> {
    const settled: Promise<unknown> = speech.then(
      () => this.#speeches.delete(settled),
      () => this.#speeches.delete(settled),
    );
    this.#speeches.add(settled);
    return speech;
  }

  /** Kills what is being spoken and waits until it is gone. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#speeches);
  }
}

/** A fresh instance; the default export is the one that the conductor runs. */
export function createVoice(around: Surroundings = system): PluginDefinition {
  const voice = new Voice(around);
  return {
    initialize(config, context) {
      voice.start(config, context.name, context.dataFolder);
      const found = voice.find();
      context.log("remedy" in found ? "espeak-ng is missing" : "ready", { ...found });
    },
    healthCheck() {
      const found = voice.find();
      if ("remedy" in found) return { status: "unhealthy", detail: found.remedy };
      return { status: "healthy", detail: `speaks through ${found.program}` };
    },
    handleRequest(request, context) {
      if (request.type === "speak" || request.type === "message")
        return voice.track(voice.answer(request.payload, context));
      return refused("bad-request", `type "${request.type.slice(0, 40)}": expected speak or message`);
    },
    shutdown: () => voice.stop(),
  };
}

export default definePlugin(createVoice());
