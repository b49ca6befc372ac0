/** Work that can wait, as real processes: how little it may, and how it ends. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isListening } from "../../src/cli/drill/hog.ts";
import { SystemClock } from "../../src/clock.ts";
import { type BackgroundRole, startInBackground } from "../../src/plugins/background-role.ts";
import { cleanUpAfterEach } from "../e2e/clean-up.ts";
import { alive, root, until } from "../e2e/running-conductor.ts";

const defer = cleanUpAfterEach();
const MiB = 2 ** 20;
const main = join(root, "src/main.ts");
const selfCommand = [process.execPath, "--no-env-file", main];

function start(
  args: readonly string[],
  { mostBytes = 512 * MiB, deadlineMs = 60_000 }: { mostBytes?: number; deadlineMs?: number } = {},
): BackgroundRole {
  const role = startInBackground({
    selfCommand,
    args,
    input: "none",
    mostBytes,
    deadlineMs,
    clock: new SystemClock(),
  });
  defer(async () => {
    role.end("the test is over");
    await role.ended;
  });
  return role;
}

/** The field of /proc/PID/task/ID/stat that holds the niceness, of every thread. */
const niceOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).map((id) => {
    const text = readFileSync(`/proc/${pid}/task/${id}/stat`, "utf8");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[16]);
  });

test("every thread has the lowest priority, and the kernel kills it first", async () => {
  const role = start(["__hog", String(4 * MiB)]);
  await until("it runs", 20_000, () => isListening(role.pid));
  expect(niceOf(role.pid).length).toBeGreaterThan(1);
  expect(new Set(niceOf(role.pid))).toEqual(new Set([19]));
  expect(readFileSync(`/proc/${role.pid}/oom_score_adj`, "utf8").trim()).toBe("1000");
  role.end("it was enough");
  expect(await role.ended).toEqual({ ok: false, because: "it was enough" });
  expect(await alive(role.pid)).toBe(false);
});

test("what holds more than its bound is killed", async () => {
  const role = start(["__hog", String(200 * MiB)], { mostBytes: 100 * MiB });
  const ended = await role.ended;
  expect(ended).toMatchObject({
    ok: false,
    because: expect.stringMatching(/^it held \d+ MiB, over its bound of 100 MiB$/),
  });
});

test("what is not done in time is killed", async () => {
  const role = start(["__hog", "0"], { deadlineMs: 500 });
  expect(await role.ended).toEqual({ ok: false, because: "it was not done within 1 s" });
  expect(await alive(role.pid)).toBe(false);
});

test("the answer is what it wrote; what went wrong is what it said", async () => {
  expect(await start(["--version"]).ended).toMatchObject({
    ok: true,
    output: expect.stringMatching(/^conductor /),
  });
  expect(await start(["__replay-record"]).ended).toEqual({
    ok: false,
    because:
      "it ended with exit code 2: __replay-record is started by conductor itself; run: conductor compare --shadow",
  });
});

test("goes with its parent, also when that is killed", async () => {
  const script = `
    import { SystemClock } from ${JSON.stringify(join(root, "src/clock.ts"))};
    import { startInBackground } from ${JSON.stringify(join(root, "src/plugins/background-role.ts"))};
    const role = startInBackground({ selfCommand: ${JSON.stringify(selfCommand)}, args: ["__hog", "0"], input: "",
      mostBytes: ${512 * MiB}, deadlineMs: 60_000, clock: new SystemClock() });
    console.log(role.pid);
    await role.ended;`;
  const parent = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  defer(() => parent.kill("SIGKILL"));
  const reader = parent.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(new TextDecoder().decode(value));
  defer(async () => {
    if (await alive(pid)) process.kill(pid, "SIGKILL");
  });
  await until("it runs", 20_000, () => isListening(pid));
  parent.kill("SIGKILL");
  await parent.exited;
  await until("it is gone too", 5_000, async () => !(await alive(pid)));
});
