/**
 * Seccomp: a filter in the kernel over system calls, for a plugin without the network where it cannot be given an empty
 * network of its own. Classic BPF over struct seccomp_data: the number at 0, the architecture at 4, arguments from 16.
 */

import type { Libc } from "./libc.ts";

/** none: unix sockets only. listen: TCP sockets too (Landlock then holds which ports). */
export type SocketRule = "none" | "listen";

const architectures = {
  x64: { audit: 0xc000003e, socket: 41, socketpair: 53, sendto: 44, sendmsg: 46, sendmmsg: 307 },
  arm64: { audit: 0xc00000b7, socket: 198, socketpair: 199, sendto: 206, sendmsg: 211, sendmmsg: 269 },
} as const;
const ioUringSetup = 425;
/** From here on numbers are of x32, another way into the same kernel. */
const x32Bit = 0x40000000;

const load = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jumpEqual = 0x15;
const jumpAtLeast = 0x35;
const jumpAnySet = 0x45;
const and = 0x54;
const give = 0x06;

const verdict = {
  allow: 0x7fff0000,
  kill: 0x80000000,
  /** SECCOMP_RET_ERRNO with EACCES, EPERM, ENOSYS. */
  denied: 0x00050000 | 13,
  notPermitted: 0x00050000 | 1,
  noSuchCall: 0x00050000 | 38,
} as const;
type Verdict = keyof typeof verdict;

const argument = (index: number): number => 16 + 8 * index;
const unix = 1;
const inet = 2;
const inet6 = 10;
const stream = 1;
const tcp = 6;
const fastOpen = 0x20000000;

/** One line: an instruction, or a jump to a label when its condition holds (and on when not). */
type Line = [code: number, value: number, to?: string] | { label: string } | { verdict: Verdict };

function socketLines(rule: SocketRule): Line[] {
  const start: Line[] = [{ label: "socket" }, [load, argument(0)], [jumpEqual, unix, "allow"]];
  if (rule === "none") return [...start, { verdict: "denied" }];
  return [
    ...start,
    [jumpEqual, inet, "internet"],
    [jumpEqual, inet6, "internet"],
    { verdict: "denied" },
    { label: "internet" },
    [load, argument(1)],
    [and, 0xf],
    [jumpEqual, stream, "protocol"],
    { verdict: "denied" },
    // MPTCP and others are streams too, which Landlock's rules for TCP do not see.
    { label: "protocol" },
    [load, argument(2)],
    [jumpEqual, 0, "allow"],
    [jumpEqual, tcp, "allow"],
    { verdict: "denied" },
    // Sending with MSG_FASTOPEN connects without a connect().
    { label: "flags-third" },
    [load, argument(2)],
    [jumpAnySet, fastOpen, "denied"],
    { verdict: "allow" },
    { label: "flags-fourth" },
    [load, argument(3)],
    [jumpAnySet, fastOpen, "denied"],
    { verdict: "allow" },
  ];
}

function linesOf(rule: SocketRule, arch: keyof typeof architectures): Line[] {
  const { audit, socket, socketpair, sendto, sendmsg, sendmmsg } = architectures[arch];
  const sends: Line[] = [
    [jumpEqual, sendto, "flags-fourth"],
    [jumpEqual, sendmmsg, "flags-fourth"],
    [jumpEqual, sendmsg, "flags-third"],
  ];
  return [
    [load, 4],
    [jumpEqual, audit, "native"],
    { verdict: "kill" },
    { label: "native" },
    [load, 0],
    ...(arch === "x64" ? ([[jumpAtLeast, x32Bit, "x32"]] satisfies Line[]) : []),
    [jumpEqual, socket, "socket"],
    [jumpEqual, socketpair, "socket"],
    // It opens sockets without the call that is watched here.
    [jumpEqual, ioUringSetup, "io-uring"],
    ...(rule === "listen" ? sends : []),
    { verdict: "allow" },
    ...socketLines(rule),
    // Jumps go forward only, so what all lead to stands at the end.
    { label: "allow" },
    { verdict: "allow" },
    { label: "denied" },
    { verdict: "denied" },
    { label: "io-uring" },
    { verdict: "notPermitted" },
    ...(arch === "x64" ? ([{ label: "x32" }, { verdict: "noSuchCall" }] satisfies Line[]) : []),
  ];
}

/** The filter as struct sock_filter[]: 8 bytes an instruction. */
export function socketFilter(rule: SocketRule, arch: "x64" | "arm64"): Uint8Array {
  const places = new Map<string, number>();
  const instructions: [code: number, value: number, to?: string][] = [];
  for (const line of linesOf(rule, arch)) {
    if ("label" in line) places.set(line.label, instructions.length);
    else instructions.push("verdict" in line ? [give, verdict[line.verdict]] : line);
  }
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(([code, value, to], at) => {
    const target = to === undefined ? at + 1 : places.get(to);
    if (target === undefined || target <= at) throw new Error(`no way to ${to} from instruction ${at}`);
    program.writeUInt16LE(code, at * 8);
    program.writeUInt8(target - at - 1, at * 8 + 2);
    program.writeUInt32LE(value >>> 0, at * 8 + 4);
  });
  return program;
}

const setSeccomp = 22;
const filterMode = 2;

/** Puts the filter in force for this thread and whatever it becomes; needs no_new_privs. Null, or the reason why not. */
export function denySockets(libc: Libc, rule: SocketRule): string | null {
  if (process.arch !== "x64" && process.arch !== "arm64")
    return `seccomp filters are written for x86-64 and arm64, not for ${process.arch}`;
  const filter = socketFilter(rule, process.arch);
  // struct sock_fprog: the count, padding, the address.
  const program = new BigUint64Array([BigInt(filter.length / 8), BigInt(libc.address(filter))]);
  const done = libc.prctl(setSeccomp, filterMode, libc.address(program));
  return done.ok ? null : `the kernel takes no seccomp filter (${done.error})`;
}
