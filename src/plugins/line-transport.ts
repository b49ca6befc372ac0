/** Calls to an `exec` plugin: newline-delimited JSON-RPC 2.0 over its stdin and stdout. */

import type { Clock } from "../clock.ts";
import { ByteSocket } from "./byte-socket.ts";
import { JunkGate } from "./junk-gate.ts";
import { LineSplitter } from "./line-splitter.ts";
import { RpcClient, type RpcEvents } from "./rpc-client.ts";
import { type Closed, largestMessageBytes, type OpenTransport } from "./transport.ts";

const brace = 0x7b;
/** In a flood, of each piece only so many lines that look like messages are read: the last ones. */
const messagesInFlood = 16;

/**
 * Of a piece of a flood, only what ends the unfinished line, the last lines that may be messages, and the unfinished
 * one at the end are worth reading: answers that follow a flood still arrive. Returns the bytes that were passed over.
 */
function pushEnds(piece: Buffer, splitter: LineSplitter): number {
  const first = piece.indexOf(10) + 1;
  const last = piece.lastIndexOf(10) + 1;
  if (first === 0) {
    splitter.push(piece);
    return 0;
  }
  let kept = 0;
  const push = (from: number, to: number) => {
    kept += to - from;
    splitter.push(piece.subarray(from, to));
  };
  push(0, first);
  for (const from of messageStarts(piece, first, last)) push(from, piece.indexOf(10, from) + 1);
  push(last, piece.length);
  return piece.length - kept;
}

/** Where the last whole lines that begin like a message begin, between `first` and `last`; in order. */
function messageStarts(piece: Buffer, first: number, last: number): number[] {
  const starts: number[] = [];
  let at = last;
  while (starts.length < messagesInFlood && at >= 2) {
    at = piece.lastIndexOf("\n{", at - 2);
    if (at + 1 < first) break;
    starts.unshift(at + 1);
  }
  return starts;
}

/**
 * `channel` (its stdin) and `stdout` are the parent's ends. Garbage on stdout is counted and skipped, at
 * any length and speed. `closed` is told when the other end, or this, of either is closed.
 */
export async function openLineTransport(
  fds: { channel: number; stdout: number },
  clock: Clock,
  events: RpcEvents,
  closed: Closed = () => undefined,
): Promise<OpenTransport> {
  const gate = new JunkGate(clock);
  let stdin: ByteSocket | null = null;
  const junk = (what: string) => {
    gate.count();
    events.junk(what);
  };
  const client = new RpcClient(clock, (text, most) => stdin?.write(Buffer.from(`${text}\n`), most) ?? false, {
    ...events,
    junk,
  });
  /** Messages still looked at in the piece of a flood that is being read. */
  let quota = 0;
  const splitter = new LineSplitter(largestMessageBytes, {
    line(bytes) {
      const isMessage = bytes[0] === brace;
      if (gate.shut && (!isMessage || quota-- <= 0)) client.counters.droppedBytes += bytes.length + 1;
      else if (isMessage) client.receive(bytes.toString("utf8"));
      else if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 13)) gate.count();
      else client.garbage(bytes.length, `is no JSON-RPC message: ${excerpt(bytes)}`);
    },
    longLine(head, total) {
      client.garbage(total, `is a line of ${total} bytes, over ${largestMessageBytes}: ${excerpt(head)}`);
      client.tooLong(head.subarray(0, 200).toString("latin1"), total);
    },
  });
  const stdout = await ByteSocket.open(fds.stdout, clock, {
    data(piece) {
      if (!gate.shut) {
        splitter.push(piece);
        return;
      }
      // And the two lines that the piece ends and begins.
      quota = messagesInFlood + 2;
      client.counters.droppedBytes += pushEnds(piece, splitter);
    },
    closed: () => {
      splitter.end();
      closed("its stdout");
    },
  });
  stdin = await ByteSocket.open(fds.channel, clock, {
    data: () => undefined,
    closed: () => closed("its stdin"),
  });
  return {
    transport: client,
    readRest: () => stdout.readRest(),
    dispose: () => {
      stdout.close();
      stdin?.close();
    },
  };
}

/** The first characters of what a plugin wrote, printable. */
function excerpt(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(0, 80).toString("utf8"));
}
