/** A network of the plugin's own, with nothing in it but a loopback that leads nowhere. */

import type { Libc } from "./libc.ts";

const newNetwork = 0x40000000;
const inet = 2;
const datagram = 2;
const setFlags = 0x8914; // SIOCSIFFLAGS
const upAndRunning = 0x41;

/** Moves this process into it; needs CAP_SYS_ADMIN. Null, or the reason why not. */
export function enterEmptyNetwork(libc: Libc): string | null {
  const moved = libc.unshare(newNetwork);
  if (!moved.ok) return `no network namespace (${moved.error})`;
  const socket = libc.socket(inet, datagram);
  // Without its loopback the plugin has less than it could have, and nothing that it should not.
  if (!socket.ok) return null;
  // struct ifreq: the name in 16 bytes, then the flags.
  const request = Buffer.alloc(40);
  request.write("lo");
  request.writeInt16LE(upAndRunning, 16);
  libc.ioctl(socket.value, setFlags, request);
  libc.close(socket.value);
  return null;
}
