/**
 * The role `__hog BASE_BYTES [BYTES@MS …]`: a program that holds memory. It keeps BASE_BYTES until it is sent USR1; then it
 * holds, in even steps, BYTES after MS more milliseconds, once for each pair, and stays at the last. Every page is written
 * to, and given back to the kernel when it shrinks.
 */

import { dlopen, type Pointer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { type Clock, SystemClock, sleep } from "../../clock.ts";

/** The hog holds `bytes` when `afterMs` have passed since the step before. */
export interface HogStep {
  bytes: number;
  afterMs: number;
}

const stepMs = 5;
/** More than any drill asks for. */
const mostBytes = 2 ** 40;

/** The arguments of the role. */
export const hogArguments = (baseBytes: number, steps: readonly HogStep[]): string[] => [
  String(baseBytes),
  ...steps.map(({ bytes, afterMs }) => `${bytes}@${afterMs}`),
];

/** Signal 10, USR1, among those that a process catches. */
const caughtBit = 1n << 9n;

/** Whether a hog waits for its signal already: before that, the signal would end it. False for a process that is gone. */
export function isListening(pid: number): boolean {
  try {
    const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
    return (BigInt(`0x${caught}`) & caughtBit) !== 0n;
  } catch {
    return false; // It is gone.
  }
}

const whole = (text: string | undefined): number | null =>
  text !== undefined && /^\d{1,13}$/.test(text) && Number(text) <= mostBytes ? Number(text) : null;

function parse(argv: readonly string[]): { baseBytes: number; steps: HogStep[] } | null {
  const baseBytes = whole(argv[0]);
  const steps = argv.slice(1).map((pair) => {
    const [bytes, afterMs] = pair.split("@").map(whole);
    return typeof bytes === "number" && typeof afterMs === "number" ? { bytes, afterMs } : null;
  });
  return baseBytes === null || steps.includes(null) ? null : { baseBytes, steps: steps as HogStep[] };
}

const calls = {
  mmap: { args: ["ptr", "usize", "i32", "i32", "i32", "i64"], returns: "ptr" },
  madvise: { args: ["ptr", "usize", "i32"], returns: "i32" },
  memset: { args: ["ptr", "i32", "usize"], returns: "ptr" },
} as const;
const readWrite = 3;
/** MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE */
const anonymous = 0x4022;
const dontNeed = 4;
const noHugePages = 15;
const pageBytes = 4_096;

/** One mapping whose first bytes are in use. */
class Held {
  readonly #libc = Held.#open();
  readonly #start: number;
  #bytes = 0;

  static #open() {
    const musl = `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`;
    try {
      return dlopen("libc.so.6", calls).symbols;
    } catch {
      return dlopen(musl, calls).symbols; // No glibc here.
    }
  }

  constructor(mostHeldBytes: number) {
    const length = Math.max(pageBytes, mostHeldBytes);
    const start = this.#libc.mmap(null, length, readWrite, anonymous, -1, 0);
    if (start === null || Number(start) === -1) throw new Error(`${length} bytes cannot be mapped`);
    this.#start = Number(start);
    // Else the kernel may hand out 2 MiB where a page is asked for.
    this.#libc.madvise(start, length, noHugePages);
  }

  resize(wanted: number): void {
    const bytes = Math.floor(wanted / pageBytes) * pageBytes;
    const [from, to] = [Math.min(bytes, this.#bytes), Math.max(bytes, this.#bytes)];
    if (from === to) return;
    const place = (this.#start + from) as Pointer;
    if (bytes > this.#bytes) this.#libc.memset(place, 1, to - from);
    else this.#libc.madvise(place, to - from, dontNeed);
    this.#bytes = bytes;
  }
}

async function follow(held: Held, fromBytes: number, steps: readonly HogStep[], clock: Clock): Promise<void> {
  let before = fromBytes;
  let startMs = clock.monotonicMs();
  for (const { bytes, afterMs } of steps) {
    for (let passed = 0; passed < afterMs; passed = clock.monotonicMs() - startMs) {
      held.resize(before + ((bytes - before) * passed) / afterMs);
      await sleep(clock, stepMs);
    }
    held.resize(bytes);
    before = bytes;
    startMs += afterMs;
  }
}

/** Runs until it is killed; yields an exit code only for arguments that it does not understand. */
export async function runHog(argv: readonly string[]): Promise<number> {
  const plan = parse(argv);
  if (!plan) {
    process.stderr.write("__hog is started by conductor itself; run: conductor drill\n");
    return 2;
  }
  const { baseBytes, steps } = plan;
  const clock = new SystemClock();
  const asked = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<number>();
  process.on("SIGUSR1", () => asked.resolve()).on("SIGTERM", () => ended.resolve(0));
  const held = new Held(Math.max(baseBytes, ...steps.map(({ bytes }) => bytes)));
  held.resize(baseBytes);
  void asked.promise.then(() => follow(held, baseBytes, steps, clock));
  return ended.promise;
}
