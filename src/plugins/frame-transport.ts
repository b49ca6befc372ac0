/** Calls to a plugin's host: JSON-RPC 2.0 in frames over one inherited socket. */

import type { Clock } from "../clock.ts";
import { ByteSocket } from "./byte-socket.ts";
import { encodeFrame, FrameSplitter } from "./frame-splitter.ts";
import { RpcClient, type RpcEvents } from "./rpc-client.ts";
import { type Closed, largestMessageBytes, type OpenTransport } from "./transport.ts";

/** `fd` is the parent's end; `closed` is told when the other one, or this, is closed. */
export async function openFrameTransport(
  fd: number,
  clock: Clock,
  events: RpcEvents,
  closed: Closed = () => undefined,
): Promise<OpenTransport> {
  let socket: ByteSocket | null = null;
  const client = new RpcClient(
    clock,
    (text, most) => socket?.write(encodeFrame(text), most) ?? false,
    events,
  );
  const splitter = new FrameSplitter(largestMessageBytes, {
    frame: (bytes) => client.receive(bytes.toString("utf8")),
    tooLong: (total) => client.garbage(total, `is a message of ${total} bytes, over ${largestMessageBytes}`),
  });
  socket = await ByteSocket.open(fd, clock, {
    data: (chunk) => splitter.push(chunk),
    closed: () => closed("the socket of its calls"),
  });
  return { transport: client, readRest: () => socket?.readRest(), dispose: () => socket?.close() };
}
