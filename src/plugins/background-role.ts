/**
 * Starts this program once more for work that can wait, so that the host hardly notices: nice 19, the first that the kernel
 * kills, bounded in memory, time and output, and gone with this process, also when that is killed.
 */

import { setPriority } from "node:os";
import type { Clock } from "../clock.ts";
import { setOomScoreAdj } from "./oom-score.ts";
import { readProcess } from "./proc-table.ts";
import { StatmWatch } from "./statm-watch.ts";

export interface BackgroundOptions {
  /** How this program starts itself; see `selfCommand`. */
  selfCommand: readonly string[];
  /** The role and its arguments. */
  args: readonly string[];
  /** What it reads on its stdin. */
  input: string;
  /** Its process tree holds at most so much, shared pages left out. */
  mostBytes: number;
  deadlineMs: number;
  clock: Clock;
}

export type BackgroundEnd = { ok: true; output: string } | { ok: false; because: string };

export interface BackgroundRole {
  pid: number;
  /** What it wrote to stdout, or why that is worth nothing. Never rejects. */
  ended: Promise<BackgroundEnd>;
  /** Kills it at once; what it wrote is dropped. After its end it does nothing. */
  end(because: string): void;
}

/** An answer is some hundred bytes, an error a line. */
const mostOutputBytes = 64 * 1024;
const lowestPriority = 19;
/** Before every plugin. */
const firstToGo = 1_000;

/** As conductor's own: one thread collects, as if the host were small. Bun ends it together with its parent. */
const environment = {
  BUN_JSC_numberOfGCMarkers: "1",
  BUN_JSC_forceRAMSize: String(64 * 2 ** 20),
  BUN_FEATURE_FLAG_NO_ORPHANS: "1",
};

/** Throws what the system says when it cannot be started. */
export function startInBackground(options: BackgroundOptions): BackgroundRole {
  const { selfCommand, args, input, mostBytes, deadlineMs, clock } = options;
  const child = Bun.spawn([...selfCommand, ...args], {
    cwd: "/",
    env: environment,
    detached: true,
    stdio: [Buffer.from(input), "pipe", "pipe"],
  });
  let endedBecause: string | null = null;
  const end = (because: string): void => {
    endedBecause ??= because;
    child.kill("SIGKILL");
  };
  yieldToAll(child.pid);
  const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  const root = { pid: child.pid, startTicks: readProcess(child.pid)?.startTicks ?? 0 };
  const unwatch = new StatmWatch(clock).add(root, mostBytes, (heldBytes) =>
    end(`it held ${mib(heldBytes)}, over its bound of ${mib(mostBytes)}`),
  );
  const deadline = clock.after(deadlineMs, () =>
    end(`it was not done within ${Math.round(deadlineMs / 1_000)} s`),
  );
  const overflow = () => end(`it wrote more than ${mostOutputBytes} bytes`);
  const settle = async (): Promise<BackgroundEnd> => {
    const [output, errors] = await Promise.all([
      textOf(child.stdout, overflow),
      textOf(child.stderr, overflow),
      child.exited,
    ]);
    unwatch();
    deadline.cancel();
    if (endedBecause !== null) return { ok: false, because: endedBecause };
    if (child.exitCode === 0) return { ok: true, output };
    const how = child.signalCode === null ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
    return { ok: false, because: `it ended with ${how}${errors === "" ? "" : `: ${errors.trim()}`}` };
  };
  return { pid: child.pid, ended: settle(), end };
}

/** Before it has threads, which take over its priority. */
function yieldToAll(pid: number): void {
  setOomScoreAdj(pid, firstToGo);
  try {
    setPriority(pid, lowestPriority);
  } catch {
    return; // It is gone already; its end tells why.
  }
}

/** All of it, as long as that is not too much; never rejects, since a killed program's pipe may break. */
async function textOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  overflow: () => void,
): Promise<string> {
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      bytes += chunk.length;
      if (bytes > mostOutputBytes) {
        overflow();
        return "";
      }
      text += chunk;
    }
  } catch (error) {
    return text === "" ? String(error) : text;
  }
  return text;
}
