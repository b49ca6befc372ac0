import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { bodyTimeoutMs } from "../../src/http/body.ts";
import { ListenError, listen } from "../../src/http/server.ts";
import { exchange, postHead } from "./raw-socket.ts";
import { type Served, served } from "./served.ts";

let subject: Served;

beforeEach(async () => {
  subject = await served();
});
afterEach(() => subject.end());

/** Polls, at most 5 s. */
async function eventually(holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 5_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`did not hold: ${holds}`);
    await Bun.sleep(2);
  }
}

const path = "/api/v1/requests";
const body = '{"platform":"voice","payload":1}';
const problemIn = (text: string) =>
  JSON.parse(text.slice(text.indexOf("{"))) as { status: number; code: string };

describe("a client that goes away", () => {
  test("aborts its request at the plugin", async () => {
    subject.dispatcher.behaviour.set("voice", { afterMs: 0, answer: null });
    const socket = connect(subject.port, "127.0.0.1");
    socket.write(postHead(subject.port, path, body.length) + body);
    await eventually(() => subject.dispatcher.calls.length === 1);
    expect(subject.dispatcher.calls[0]?.signal.aborted).toBe(false);
    socket.destroy();
    await eventually(() => subject.dispatcher.calls[0]?.signal.aborted === true);
    await eventually(() => subject.router.inFlight === 0);
  });

  test("aborts it as well when the body came in chunks", async () => {
    subject.dispatcher.behaviour.set("voice", { afterMs: 0, answer: null });
    const socket = connect(subject.port, "127.0.0.1");
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    socket.write(postHead(subject.port, path, null) + chunked);
    await eventually(() => subject.dispatcher.calls.length === 1);
    socket.destroy();
    await eventually(() => subject.dispatcher.calls[0]?.signal.aborted === true);
  });

  test("in the middle of its body leaves nothing behind", async () => {
    for (const length of [1_000, null]) {
      const socket = connect(subject.port, "127.0.0.1");
      socket.write(`${postHead(subject.port, path, length)}${length === null ? "5\r\n" : ""}{"pla`);
      await Bun.sleep(5);
      socket.destroy();
    }
    expect((await subject.get("/healthz")).status).toBe(200);
    expect([subject.dispatcher.calls.length, subject.router.inFlight]).toEqual([0, 0]);
    expect(subject.lines.filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("a body", () => {
  test("in chunks is taken like any other", async () => {
    const chunks = [...body].map((character) => `1\r\n${character}\r\n`).join("");
    const answer = exchange(subject.port, `${postHead(subject.port, path, null)}${chunks}0\r\n\r\n`, {
      enough: (text) => text.includes('"attempts"'),
    });
    expect(await subject.turning(answer)).toMatchObject({ status: 200 });
  });

  test("that trickles is given up after its time, with or without a length", async () => {
    for (const length of [body.length, null]) {
      const start = length === null ? `1\r\n{\r\n` : "{";
      const answer = exchange(subject.port, postHead(subject.port, path, length) + start, {
        enough: (text) => text.includes('"instance"'),
      });
      // The server must have begun to wait before time goes on.
      await Bun.sleep(50);
      await subject.clock.advance(bodyTimeoutMs - 1);
      let early = true;
      void answer.then(() => {
        early = false;
      });
      await Bun.sleep(20);
      // Still waiting one millisecond before.
      expect([length, early]).toEqual([length, true]);
      await subject.clock.advance(1);
      const { status, text } = await answer;
      expect([length, status, problemIn(text).code]).toEqual([length, 408, "body_too_slow"]);
      expect(text.toLowerCase()).toContain("connection: close");
    }
  });

  test("over the limit is refused before it has come, and the memory stays small", async () => {
    const before = process.memoryUsage.rss();
    const mebibyte = Buffer.alloc(2 ** 20, "x");
    const chunk = Buffer.concat([Buffer.from("100000\r\n"), mebibyte, Buffer.from("\r\n")]);
    for (const length of [200 * 2 ** 20, null]) {
      let sent = 0;
      const { status, text } = await exchange(subject.port, postHead(subject.port, path, length), {
        enough: (got) => got.includes('"instance"'),
        sendOn: (socket) => {
          const more = () => {
            while (sent < 200 && !socket.destroyed) {
              sent++;
              if (!socket.write(length === null ? chunk : mebibyte)) return void socket.once("drain", more);
            }
          };
          more();
        },
      });
      expect([length, status, problemIn(text).code]).toEqual([length, 413, "body_too_large"]);
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 2 ** 20);
  });

  test("that nobody asked for is thrown away, not kept", async () => {
    const head = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${subject.port}\r\n`;
    const { status } = await exchange(
      subject.port,
      `${head}Content-Length: 5\r\nConnection: close\r\n\r\nhello`,
    );
    expect(status).toBe(200);
  });
});

describe("what is no HTTP", () => {
  test("ends in an error without a trace of our source, and the server goes on", async () => {
    const host = `Host: 127.0.0.1:${subject.port}\r\nConnection: close\r\n\r\n`;
    const refusals = new Set([400, 404, 411, 413, 414, 415, 421, 431, 505]);
    const texts = [
      "\r\n\r\n",
      "hello\r\n\r\n",
      `BREW /healthz HTTP/1.1\r\n${host}`,
      `GET / HTTP/9.9\r\n${host}`,
      `GET healthz HTTP/1.1\r\n${host}`,
      `GET /\u0000 HTTP/1.1\r\n${host}`,
      `GET /${"x".repeat(100_000)} HTTP/1.1\r\n${host}`,
      `GET / HTTP/1.1\r\nX: ${"x".repeat(100_000)}\r\n${host}`,
      "GET / HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
      `POST ${path} HTTP/1.1\r\nContent-Length: -1\r\n${host}`,
      `POST ${path} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n${host}hello`,
      `POST ${path} HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${host}0\r\n\r\n`,
      `POST ${path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${host}zz\r\n`,
    ];
    for (const text of texts) {
      const name = JSON.stringify(text.slice(0, 60));
      // Some are waited for as the beginning of a request: a silent client is cut by the idle timeout.
      const answer = await exchange(subject.port, text, { timeoutMs: 700 }).catch(() => ({
        status: 0,
        text: "",
      }));
      expect([name, answer.status === 0 || refusals.has(answer.status)]).toEqual([name, true]);
      expect(answer.text).not.toMatch(/\.ts|<html|at Object|cwd/);
    }
    expect((await subject.get("/healthz")).status).toBe(200);
  });
});

describe("listening", () => {
  let taken: Served;
  beforeAll(async () => {
    taken = await served();
  });
  afterAll(() => taken.end());

  const thrown = (host: string, port: number): string => {
    try {
      void listen(taken.app, host, port).stop(true);
      return "listens";
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      return error.message;
    }
  };

  test("on a port in use says what to do, in one line", () => {
    const message = thrown("127.0.0.1", taken.port);
    expect(message).toBe(
      `127.0.0.1:${taken.port} is in use; stop what listens there or set http.port (CONDUCTOR_HTTP_PORT)`,
    );
  });

  test("on an address that is not ours says so", () => {
    expect(thrown("192.0.2.1", 0)).toContain("http.host");
  });
});
