/** Speech that is too large for an answer, kept as files in the plugin's data folder. */

import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The newest this many stay; each is at most `maxWavBytes`. */
const maxFiles = 10;

const filePattern = /^speech-(\d{6,15})-[0-9a-f-]{36}\.wav$/;

/** Writes `wav` as a new file that only this user reads, and removes the oldest over `maxFiles`. Returns its path. */
export async function keepSpeech(folder: string, wav: Buffer, nowMs: number): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `speech-${Math.floor(nowMs)}-${crypto.randomUUID()}.wav`);
  await writeFile(path, wav, { mode: 0o600, flag: "wx" });
  const names = (await readdir(folder)).filter((name) => filePattern.test(name));
  const bornMs = (name: string) => Number(filePattern.exec(name)?.[1] ?? 0);
  const oldest = names.sort((a, b) => bornMs(b) - bornMs(a)).slice(maxFiles);
  for (const name of oldest) await rm(join(folder, name), { force: true });
  return path;
}
