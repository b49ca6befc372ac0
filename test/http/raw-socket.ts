/** HTTP by hand, for what no client would send. */

import { connect, type Socket } from "node:net";

export interface Answer {
  /** 0 when the connection ended without an answer. */
  status: number;
  text: string;
}

const parse = (text: string): Answer => ({
  status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0),
  text,
});

/**
 * Sends `text` and yields what came back until the server closed the connection, or as soon as `enough` holds. Rejects
 * after `timeoutMs`.
 */
export function exchange(
  port: number,
  text: string,
  {
    enough = () => false,
    timeoutMs = 10_000,
    sendOn,
  }: {
    enough?: (text: string) => boolean;
    timeoutMs?: number;
    /** Goes on sending. */
    sendOn?: (socket: Socket) => void;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let got = "";
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(text);
      sendOn?.(socket);
    });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end within ${timeoutMs} ms; got ${got.slice(0, 500)}`));
    }, timeoutMs);
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(parse(got));
    };
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      if (enough(got)) finish();
    });
    // A server that has refused resets a connection on which more arrives: what it said before counts.
    socket.on("error", finish);
    socket.on("close", finish);
  });
}

/** The header lines of a POST of JSON; without a length for a chunked body. */
export const postHead = (port: number, path: string, length: number | null): string =>
  [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Content-Type: application/json",
    length === null ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`,
    "",
    "",
  ].join("\r\n");
