/** The examples to copy, fed by hand with what a conductor may write: every shell, strange texts, large payloads. */

import { describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import type { Json } from "../../src/sdk/plugin.ts";

const examples = resolve(import.meta.dir, "../fixtures/examples");

interface Message {
  id?: number;
  method: string;
  params: Json;
}

interface Answer {
  id: number;
  result?: Record<string, Json>;
  error?: { code: number; message: string };
}

/** Writes the messages as the conductor does, ends the input, and yields the answers. The program must end by itself. */
async function feed(example: string, command: string[], messages: Message[]): Promise<Answer[]> {
  const text = messages.map((message) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`).join("");
  const child = Bun.spawn(command, {
    cwd: join(examples, example),
    env: { PATH: process.env.PATH ?? "" },
    stdin: new Blob([text]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  expect([code, err]).toEqual([0, ""]);
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Answer);
}

const request = (id: number, payload: Json, type = "message", requestId = "r"): Message => ({
  id,
  method: "handle_request",
  params: { request: { id: requestId, platform: "echo", type, payload }, deadlineMs: 5_000 },
});

const tricky: Json[] = [
  'quotes " and \\ backslashes \\" and a \n line break',
  "é ü 漢字 🚀 \u0000\u001f\u2028\u2029 \ud800",
  { type: "payload", '"type":"': '"type":"x","id":99,"method":"shutdown"' },
  [1.7976931348623157e308, 5e-324, 2 ** 53 + 2, -0.1, true, null],
  "$(touch pwned) `touch pwned` $HOME %s %n * ?",
  "x".repeat(200_000),
  '"é\\'.repeat(70_000),
];

/** Those that this host has. */
const shells = ["sh", "dash", "bash --posix", "busybox sh"].filter((shell) =>
  Bun.which(shell.split(" ")[0] ?? ""),
);

describe.each(shells)("shell-echo under %s", (shell) => {
  const command = [...shell.split(" "), "plugin.sh"];

  test("answers each call once under its id, whatever is in it, and no notice", async () => {
    const answers = await feed("shell-echo", command, [
      { id: 1, method: "initialize", params: { config: { greeting: 'say "hi"' } } },
      { method: "cancel", params: { id: 1 } },
      { id: 2, method: "health_check", params: {} },
      { id: 3, method: "conductor_contract_unknown", params: {} },
      ...tricky.map((payload, index) => request(10 + index, payload)),
      { method: 'odd "notice"', params: { id: 5, text: "x".repeat(50_000) } },
      { id: 4_000_000_000, method: "shutdown", params: {} },
    ]);
    expect(answers.map(({ id }) => id)).toEqual([
      1,
      2,
      3,
      ...tricky.map((_, index) => 10 + index),
      4_000_000_000,
    ]);
    expect(answers[1]?.result).toEqual({ status: "healthy", detail: "echoes" });
    expect(answers[2]?.error).toEqual({ code: -32601, message: "unknown method" });
    tricky.forEach((payload, index) => {
      const line = JSON.stringify({ jsonrpc: "2.0", ...request(10 + index, payload) });
      expect(answers[3 + index]?.result).toEqual({ type: "message", bytes: Buffer.byteLength(line) });
    });
  }, 30_000);

  test("names the type of a request where it is a plain word, and says other for anything else", async () => {
    const types = ["ping", "a.b-c_9", 'say "hi"', "two words", "ünï", "", 'x","id":7', "\\"];
    const answers = await feed(
      "shell-echo",
      command,
      types.map((type, index) => request(index, "p", type, 'id with "type":"wrong" in it')),
    );
    expect(answers.map(({ result }) => result?.type)).toEqual([
      "ping",
      "a.b-c_9",
      ...Array.from({ length: 6 }, () => "other"),
    ]);
  });
});

test("python-echo gives back every payload as it came, with its greeting, and refuses a wrong one", async () => {
  const command = ["python3", "plugin.py"];
  const answers = await feed("python-echo", command, [
    { id: 1, method: "initialize", params: { config: { greeting: "¡hola!" } } },
    { method: "cancel", params: { id: 1 } },
    ...tricky.map((payload, index) => request(10 + index, payload)),
    { id: 2, method: "nothing", params: {} },
    { id: 3, method: "handle_request", params: {} },
  ]);
  expect(answers.slice(1, -2).map(({ id, result }) => [id, result])).toEqual(
    tricky.map((payload, index) => [10 + index, { greeting: "¡hola!", type: "message", echo: payload }]),
  );
  expect(answers.at(-2)?.error).toEqual({ code: -32601, message: "unknown method nothing" });
  expect(answers.at(-1)?.error).toEqual({ code: -32000, message: "KeyError: 'request'" });
  const [refused] = await feed("python-echo", command, [
    { id: 1, method: "initialize", params: { config: { greeting: 5 } } },
  ]);
  expect(refused?.error).toEqual({ code: -32000, message: "ValueError: greeting: expected a text" });
});
