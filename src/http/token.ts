/** The bearer token that administers: made at first start, kept in a file that only its owner reads. */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const fileName = "token";

/** Where the token lies beside the database in `stateFolder`. */
export const tokenPath = (stateFolder: string): string => join(stateFolder, fileName);

/** 256 random bits, as text. */
const newToken = (): string => randomBytes(32).toString("base64url");

/**
 * The token of `stateFolder`, made when there is none. With null there is nowhere to keep one: it lives as long as
 * the process. `given` (CONDUCTOR_TOKEN) comes before both.
 */
export function loadToken(stateFolder: string | null, given: string | undefined): string {
  if (given !== undefined && given !== "") return given;
  if (stateFolder === null) return newToken();
  const path = tokenPath(stateFolder);
  try {
    const token = readFileSync(path, "utf8").trim();
    if (token.length >= 32) {
      chmodSync(path, 0o600);
      return token;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = newToken();
  // A file that is there keeps its mode when it is written to: this one takes its place, whole and closed to others.
  const unfinished = `${path}.${process.pid}.new`;
  writeFileSync(unfinished, `${token}\n`, { mode: 0o600 });
  renameSync(unfinished, path);
  return token;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Whether an Authorization header carries the token; takes the same time wherever they differ. */
export function carriesToken(header: string | undefined, token: string): boolean {
  const given = /^Bearer ([^\s]+)$/i.exec(header ?? "")?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}
