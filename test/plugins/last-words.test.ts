/** What a process wrote before it ended is read to its end, though its end may be seen first. */

import { afterEach, expect, test } from "bun:test";
import { bunPlugin, execPlugin, type Harness, harness } from "./harness.ts";

const soon = { timeoutMs: 5_000 };
const undo: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const run of undo.splice(0).reverse()) await run();
});

async function started(files: Record<string, string>): Promise<Harness> {
  const it = await harness({ bot: files });
  undo.push(() => it.end());
  await it.manager.startAll();
  expect(it.manager.view("bot")?.state).toBe("ready");
  return it;
}

const lastLine = "answered, and gone";
const byHand = "recovery: { restart: never }\n";

/** Answers with as many characters as the payload says, then a log line, and ends; all at once. */
const answering = (before = ""): string => `import json, os, sys, time
for line in sys.stdin:
    call = json.loads(line)
    asked = call["method"] == "handle_request"
    result = "x" * call["params"]["request"]["payload"] if asked else {"ok": True}
    out = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}) + "\\n"
${before}
    os.write(1, out.encode())
    if asked:
        os.write(2, b"${lastLine}\\n")
        os._exit(1)
`;
const exec = (program: string) => ({
  ...execPlugin("bot", ["python3", "bot.py"], byHand),
  "bot.py": program,
});

/** Its child keeps the sockets open: their end does not show that there is no more. */
const withChild = answering(`    if asked and os.fork() == 0:
        time.sleep(60)`);

/** 64 KiB over the 8 MiB after which a socket is not read for up to 100 ms: the rest fits into the kernel's buffer. */
const withFlood = answering(`    if asked:
        sys.stdout.write(("j" * 65535 + "\\n") * 129)
        sys.stdout.flush()`);

const onBun = `export default definePlugin({ handleRequest: ({ payload }) => {
  setImmediate(() => { console.error("${lastLine}"); process.exit(1); });
  return "x".repeat(payload);
} });`;

/** Without the reading of the rest the flood's answers were lost 36 times of 50. */
test.each([
  ["exec", exec(answering()), { times: 20, blockedMs: 30, outlived: "" }],
  ["bun", bunPlugin("bot", onBun, byHand), { times: 20, blockedMs: 30, outlived: "" }],
  [
    "exec with a child",
    exec(withChild),
    { times: 10, blockedMs: 30, outlived: "; 1 process outlived it and had to be killed" },
  ],
  ["exec after a flood", exec(withFlood), { times: 10, blockedMs: 0, outlived: "" }],
])(
  "%s: no answer that was written before the end is lost",
  async (_, files, { times, blockedMs, outlived }) => {
    const { manager, of } = await started(files);
    const kinds: string[] = [];
    for (let n = 0; n < times; n++) {
      // Small ones and some that fill most of the socket's buffer.
      const characters = n % 2 === 0 ? 1 : 120_000;
      const request = { id: `r${n}`, platform: "bot", type: "message", payload: characters };
      const asked = manager.dispatch("bot", request, soon);
      // Once it is sent, this process does not look until both the answer and the end are there.
      await Bun.sleep(0);
      Bun.sleepSync(blockedMs);
      const answer = await asked;
      kinds.push(answer.ok ? `answered ${String(answer.value).length === characters}` : answer.kind);
      while (of("plugin.exit").length <= n) await Bun.sleep(1);
      expect(manager.view("bot")?.lastError).toBe(`exited with code 1${outlived}; last words: ${lastLine}`);
      expect(await manager.start("bot")).toEqual({ ok: true });
    }
    expect(kinds).toEqual(Array(times).fill("answered true"));
  },
  60_000,
);

test("an answer that was not written to its end is a crash, and is known though the sockets stay open", async () => {
  const half = withChild.replace(
    "os.write(1, out.encode())",
    "os.write(1, out.encode()[:20 if asked else None])",
  );
  const { manager } = await started(exec(half));
  const request = { id: "r", platform: "bot", type: "message", payload: 100 };
  expect(await manager.dispatch("bot", request, soon)).toMatchObject({
    ok: false,
    kind: "crashed",
    message: "exited with code 1",
  });
}, 20_000);
