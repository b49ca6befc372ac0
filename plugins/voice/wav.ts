/** The WAV container (RIFF): espeak-ng writes to a pipe and so cannot know the sizes in its header. */

export interface FinishedWav {
  /** With the true sizes in its header. */
  wav: Buffer;
  durationMs: number;
}

/**
 * Puts the true sizes into the header of `streamed`, in place. Null when it is not PCM in a RIFF container,
 * or holds no sound. Format: http://soundfile.sapp.org/doc/WaveFormat/
 */
export function finishWav(streamed: Buffer): FinishedWav | null {
  if (streamed.length < 12) return null;
  if (streamed.toString("latin1", 0, 4) !== "RIFF" || streamed.toString("latin1", 8, 12) !== "WAVE")
    return null;
  let bytesPerSecond = 0;
  let at = 12;
  while (at + 8 <= streamed.length) {
    const kind = streamed.toString("latin1", at, at + 4);
    const chunkBytes = streamed.readUInt32LE(at + 4);
    if (kind === "fmt " && at + 20 <= streamed.length) bytesPerSecond = streamed.readUInt32LE(at + 16);
    if (kind === "data") {
      const soundBytes = streamed.length - at - 8;
      if (soundBytes === 0 || bytesPerSecond === 0) return null;
      streamed.writeUInt32LE(soundBytes, at + 4);
      streamed.writeUInt32LE(streamed.length - 8, 4);
      return { wav: streamed, durationMs: Math.round((soundBytes / bytesPerSecond) * 1_000) };
    }
    at += 8 + chunkBytes + (chunkBytes % 2);
  }
  return null;
}
