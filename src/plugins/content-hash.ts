/**
 * A plugin's content as one hash, for pinning (`sha256:` in its manifest), for keeping versions, and to see a change.
 *
 * SHA-256 over its files and links in the order of their paths: kind, path, executable or not, length, bytes. Not in it:
 * folders of `permissions.write`, names with a dot, `__pycache__`, and the manifest's own line `sha256: …`, which could
 * not hold otherwise. `node_modules` is in it.
 */

import { constants, readlinkSync, realpathSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  type ContentFile,
  type ContentProblem,
  type ContentSelection,
  listContent,
  listContentInTurns,
  mostContentBytes,
  unreadable,
} from "./content-files.ts";
import { leaves } from "./folder-paths.ts";

export type ContentHash =
  /** `hash`: 64 hex digits. `linkOut`: a link whose target is outside, and so not in the hash; null: there is none. */
  { ok: true; hash: string; files: number; bytes: number; linkOut: string | null } | ContentProblem;

const chunkBytes = 256 * 1024;

/** Largest manifest in which the pin is looked for; a larger one is none. */
const mostManifestBytes = 256 * 1024;

/** The manifest's line that pins the content; only this form is left out of the hash, so nothing can hide in it. */
const pinLines: Readonly<Record<string, RegExp>> = {
  "plugin.yaml": /^sha256:[ \t]*(["']?)[0-9a-f]{64}\1[ \t]*(?:[ \t]#[^\n]*)?\r?(?:\n|$)/m,
  "package.json": /^[ \t]*"sha256":[ \t]*"[0-9a-f]{64}",?[ \t]*\r?(?:\n|$)/m,
};

/** Hashes the content of `folder`, reading piece by piece. Never rejects. */
export async function contentHash(
  folder: string,
  { exclude }: { exclude: readonly string[] },
): Promise<ContentHash> {
  const listed = await listContentInTurns(folder, { exclude, nodeModules: true });
  if (!listed.ok) return listed;
  const hasher = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  let linkOut: string | null = null;
  try {
    for (const file of listed.files) {
      if (file.kind === "link" && linkOut === null && leadsOut(folder, file.path)) linkOut = file.path;
      bytes += file.kind === "link" ? hashLink(hasher, folder, file) : await hashFile(hasher, folder, file);
      if (bytes > mostContentBytes) throw new Error("it grows while it is read");
    }
  } catch (error) {
    return unreadable(folder, error);
  }
  return { ok: true, hash: hasher.digest("hex"), files: listed.files.length, bytes, linkOut };
}

/** Where a link really leads; one to nothing is judged by what it says. */
function leadsOut(folder: string, path: string): boolean {
  const link = join(folder, path);
  try {
    return leaves(realpathSync(folder), realpathSync(link));
  } catch {
    return leaves(folder, resolve(dirname(link), readlinkSync(link)));
  }
}

function hashLink(hasher: Bun.CryptoHasher, folder: string, { path }: ContentFile): number {
  const target = readlinkSync(join(folder, path));
  hasher.update(`link\0${path}\0${target}\0`);
  return target.length;
}

async function hashFile(hasher: Bun.CryptoHasher, folder: string, file: ContentFile): Promise<number> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(join(folder, file.path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const head = (length: number) =>
      hasher.update(`file\0${file.path}\0${file.executable ? "x" : "-"}\0${length}\0`);
    const pin = pinLines[file.path];
    if (pin && file.sizeBytes <= mostManifestBytes) {
      const text = (await handle.readFile()).toString("latin1").replace(pin, "");
      head(text.length);
      hasher.update(Buffer.from(text, "latin1"));
      return text.length;
    }
    head(file.sizeBytes);
    return await hashBytes(hasher, handle, file);
  } finally {
    await handle.close();
  }
}

async function hashBytes(hasher: Bun.CryptoHasher, handle: FileHandle, file: ContentFile): Promise<number> {
  const buffer = new Uint8Array(Math.min(chunkBytes, file.sizeBytes + 1));
  let total = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) break;
    total += bytesRead;
    if (total > file.sizeBytes) break;
    hasher.update(buffer.subarray(0, bytesRead));
  }
  if (total !== file.sizeBytes) throw new Error(`${file.path} was changed while it was read`);
  return total;
}

export type ContentFingerprint = { ok: true; fingerprint: string } | ContentProblem;

/**
 * A text that is another one once a file was added, removed or written, without reading any: paths, lengths and times.
 * For whether to look closer; what has the same one may still differ for one who sets a file's time back.
 */
export function contentFingerprint(
  folder: string,
  selection: ContentSelection = { exclude: [], nodeModules: false },
): ContentFingerprint {
  const listed = listContent(folder, selection);
  if (!listed.ok) return listed;
  const hasher = new Bun.CryptoHasher("sha1");
  for (const { path, kind, sizeBytes, executable, mtimeNs, ctimeNs } of listed.files)
    hasher.update(`${kind}\0${path}\0${executable}\0${sizeBytes}\0${mtimeNs}\0${ctimeNs}\0`);
  return { ok: true, fingerprint: hasher.digest("hex") };
}
