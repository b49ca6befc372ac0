/** The C library of this process: the few calls that the runtime does not offer, and raw system calls by number. */

import { dlopen, ptr, read } from "bun:ffi";

/** glibc, then musl under its names. */
const libraryNames = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
  "libc.so",
];

const functions = {
  syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64"], returns: "i64" },
  __errno_location: { args: [], returns: "ptr" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  signal: { args: ["i32", "usize"], returns: "usize" },
  execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  dup2: { args: ["i32", "i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  open: { args: ["ptr", "i32", "i32"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  unshare: { args: ["i32"], returns: "i32" },
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  setpriority: { args: ["i32", "i32", "i32"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
} as const;

type Functions = ReturnType<typeof dlopen<typeof functions>>["symbols"];

/** Names for the errors that a launch meets; others show their number. */
const errorNames: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  7: "E2BIG",
  8: "ENOEXEC",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  20: "ENOTDIR",
  22: "EINVAL",
  28: "ENOSPC",
  36: "ENAMETOOLONG",
  38: "ENOSYS",
  40: "ELOOP",
  95: "EOPNOTSUPP",
};

/** Numbers that differ between architectures; those from 424 on are the same everywhere. */
const numbers = {
  x64: { setgroups: 116, setresuid: 117, setresgid: 119, capset: 126, ioprio_set: 251, mlock2: 325 },
  arm64: { setgroups: 159, setresuid: 147, setresgid: 149, capset: 91, ioprio_set: 30, mlock2: 284 },
} as const;
const shared = {
  mount_setattr: 442,
  landlock_create_ruleset: 444,
  landlock_add_rule: 445,
  landlock_restrict_self: 446,
} as const;

export type SyscallName = keyof (typeof numbers)["x64"] | keyof typeof shared;
export type CallResult = { ok: true; value: number } | { ok: false; error: string };

/** A NUL-terminated copy of a text, to be kept alive as long as C reads it. */
const cText = (text: string): Buffer => Buffer.from(`${text}\0`);

export class Libc {
  readonly #functions: Functions;

  private constructor(symbols: Functions) {
    this.#functions = symbols;
  }

  /** Throws when there is no C library under a known name, or the runtime runs without its compiler. */
  static open(): Libc {
    let last: unknown;
    for (const name of libraryNames) {
      try {
        return new Libc(dlopen(name, functions).symbols);
      } catch (error) {
        last = error;
      }
    }
    throw new Error(`no C library under ${libraryNames.join(", ")}: ${last}`);
  }

  #result(value: number): CallResult {
    if (value !== -1) return { ok: true, value };
    const place = this.#functions.__errno_location();
    const errno = place === null ? 0 : read.i32(place, 0);
    return { ok: false, error: errorNames[errno] ?? `errno ${errno}` };
  }

  /** Calls the kernel by number; up to five arguments, numbers or memory. It acts on the calling thread only. */
  syscall(name: SyscallName, ...args: (number | NodeJS.TypedArray)[]): CallResult {
    const own = numbers[process.arch === "arm64" ? "arm64" : "x64"];
    const number = name in shared ? shared[name as keyof typeof shared] : own[name as keyof typeof own];
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = args.map((arg) => (typeof arg === "number" ? arg : ptr(arg)));
    return this.#result(Number(this.#functions.syscall(number, a, b, c, d, e)));
  }

  prctl(option: number, a = 0, b = 0, c = 0): CallResult {
    return this.#result(this.#functions.prctl(option, a, b, c, 0));
  }

  /** The address of memory, for structures that point to it. */
  address(memory: NodeJS.TypedArray): number {
    return ptr(memory);
  }

  resetSignal(number: number): void {
    this.#functions.signal(number, 0);
  }

  dup2(from: number, to: number): CallResult {
    return this.#result(this.#functions.dup2(from, to));
  }

  close(fd: number): void {
    this.#functions.close(fd);
  }

  closeOnExec(fd: number): CallResult {
    return this.#result(this.#functions.fcntl(fd, 2, 1));
  }

  open(path: string, flags: number): CallResult {
    const text = cText(path);
    return this.#result(this.#functions.open(ptr(text), flags, 0));
  }

  socket(family: number, type: number): CallResult {
    return this.#result(this.#functions.socket(family, type, 0));
  }

  ioctl(fd: number, request: number, memory: NodeJS.TypedArray): CallResult {
    return this.#result(this.#functions.ioctl(fd, request, ptr(memory)));
  }

  unshare(flags: number): CallResult {
    return this.#result(this.#functions.unshare(flags));
  }

  mount(source: string, target: string, flags: number): CallResult {
    const [from, to] = [cText(source), cText(target)];
    return this.#result(this.#functions.mount(ptr(from), ptr(to), null, flags, null));
  }

  setMountAttributes(folder: number, path: string, flags: number, attributes: BigUint64Array): CallResult {
    return this.syscall("mount_setattr", folder, cText(path), flags, attributes, attributes.byteLength);
  }

  setpriority(nice: number): CallResult {
    return this.#result(this.#functions.setpriority(0, 0, nice));
  }

  /** Soft and hard limit. */
  getrlimit(resource: number): { soft: bigint; hard: bigint } | null {
    const pair = new BigUint64Array(2);
    if (this.#functions.getrlimit(resource, ptr(pair)) !== 0) return null;
    return { soft: pair[0] ?? 0n, hard: pair[1] ?? 0n };
  }

  setrlimit(resource: number, soft: bigint, hard: bigint): CallResult {
    return this.#result(this.#functions.setrlimit(resource, ptr(new BigUint64Array([soft, hard]))));
  }

  /** Becomes another program on this thread; comes back only with the name of an error. */
  execve(path: string, argv: readonly string[], environment: Readonly<Record<string, string>>): string {
    const kept: Buffer[] = [];
    const keep = (text: string): bigint => {
      const copy = cText(text);
      kept.push(copy);
      return BigInt(ptr(copy));
    };
    const list = (texts: readonly string[]) => new BigUint64Array([...texts.map(keep), 0n]);
    const args = list(argv);
    const env = list(Object.entries(environment).map(([name, value]) => `${name}=${value}`));
    const program = cText(path);
    const result = this.#result(this.#functions.execve(ptr(program), ptr(args), ptr(env)));
    return result.ok || kept.length === 0 ? "no error" : result.error;
  }
}
