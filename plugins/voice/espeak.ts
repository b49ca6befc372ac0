/** Runs espeak-ng: text in through stdin, WAV out through stdout, everything bounded. */

import type { Manner } from "./settings.ts";

/** Nine minutes of 22,050 Hz, 16 bit, mono: a longer speech is refused. */
const maxWavBytes = 24 * 1024 * 1024;

const maxErrorChars = 300;

/** Why there is no speech. "bad-request": the caller can change it. */
export class SpeechError extends Error {
  constructor(
    readonly code: "bad-request" | "too-long" | "timeout" | "cancelled" | "failed",
    message: string,
  ) {
    super(message);
  }
}

export interface Speech {
  /** Full path of the program. */
  program: string;
  text: string;
  manner: Manner;
  timeoutMs: number;
  /** Ends the program when it aborts. */
  signal: AbortSignal;
}

/** Reads to the end. Null as soon as there is more than `maxBytes`; nothing more is held then. */
async function readCapped(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Buffer | null> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads to the end and keeps the first characters, so that a chatty program is not blocked by a full pipe. */
async function readStart(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) if (text.length < maxErrorChars) text += Buffer.from(chunk).toString();
  return text.slice(0, maxErrorChars).trim();
}

/** Control characters are commands to espeak-ng, and [[...]] is phonemes: both would not be read as text. */
const plain = (text: string): string => text.replace(/\p{Cc}/gu, " ").replaceAll("[[", "[ [");

/** The WAV as espeak-ng streams it. Throws SpeechError; the program has ended in any case. */
export async function speak({ program, text, manner, timeoutMs, signal }: Speech): Promise<Buffer> {
  const cancelled = () => new SpeechError("cancelled", "the speech was cancelled");
  if (signal.aborted) throw cancelled();
  const timeout = AbortSignal.timeout(timeoutMs);
  const { voice, speed, pitch } = manner;
  const child = Bun.spawn(
    [program, "--stdin", "--stdout", "-b", "1", "-v", voice, "-s", String(speed), "-p", String(pitch)],
    {
      stdin: Buffer.from(plain(text)),
      stdout: "pipe",
      stderr: "pipe",
      // Nothing of this process is its business: no token, no proxy, no preloaded library.
      env: { LC_ALL: "C.UTF-8" },
      signal: AbortSignal.any([signal, timeout]),
      killSignal: "SIGKILL",
    },
  );
  try {
    const [wav, complaint] = await Promise.all([
      readCapped(child.stdout, maxWavBytes).then((read) => {
        if (read === null) child.kill("SIGKILL");
        return read;
      }),
      readStart(child.stderr),
    ]);
    const exitCode = await child.exited;
    if (signal.aborted) throw cancelled();
    if (timeout.aborted)
      throw new SpeechError(
        "timeout",
        `espeak-ng took more than ${timeoutMs} ms: shorten the text or raise timeoutMs`,
      );
    if (wav === null)
      throw new SpeechError("too-long", `the speech is over ${maxWavBytes} bytes of WAV: shorten the text`);
    if (/voice does not exist/i.test(complaint))
      throw new SpeechError(
        "bad-request",
        `voice: "${voice}": espeak-ng has none of that name; see espeak-ng --voices`,
      );
    if (exitCode !== 0)
      throw new SpeechError(
        "failed",
        `espeak-ng ended with ${exitCode ?? child.signalCode}: ${complaint || "no message"}`,
      );
    return wav;
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}
