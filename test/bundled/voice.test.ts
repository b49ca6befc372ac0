import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Json, PluginDefinition } from "conductor/plugin";
import { createVoice } from "../../plugins/voice/index.ts";
import { finishWav } from "../../plugins/voice/wav.ts";
import { ask, eventually, failure, initialize } from "./drive.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "voice-test-"));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

type Which = (program: string) => string | null;

async function started(which: Which, config: Record<string, Json> = {}, dataFolder: string | null = null) {
  let nowMs = 1_750_000_000_000;
  const voice = createVoice({ nowMs: () => nowMs++, which });
  cleanups.push(() => voice.shutdown?.());
  await initialize(voice, "voice", config, { dataFolder });
  return voice;
}

const speak = (voice: PluginDefinition, payload: Json, signal?: AbortSignal) =>
  ask(voice, { platform: "voice", type: "speak", payload }, signal);

/** A shell script in the place of espeak-ng. */
async function script(body: string): Promise<{ which: Which; path: string; folder: string }> {
  const home = folder();
  const path = join(home, "espeak");
  await Bun.write(path, `#!/bin/sh\nPATH=/usr/bin:/bin\nhere='${home}'\n${body}\n`);
  chmodSync(path, 0o755);
  return { which: () => path, path, folder: home };
}

/** A header as espeak-ng streams it: 22,050 Hz, 16 bit, mono, with sizes that are not true. */
function streamedHeader(): Buffer {
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(0x7ffff024, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(22_050, 24);
  header.writeUInt32LE(44_100, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(0x7ffff000, 40);
  return header;
}

/** A script that swallows its text and streams `soundBytes` of silence. */
async function silence(soundBytes: number) {
  const made = await script(`cat > "$here/text"; echo "$@" > "$here/args"; env > "$here/env"
cat "$here/header"; head -c ${soundBytes} /dev/zero`);
  await Bun.write(join(made.folder, "header"), streamedHeader());
  return made;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

const installed = Bun.which("espeak-ng");
const spoken = test.skipIf(installed === null);
const label = installed === null ? " (skipped: espeak-ng is not installed)" : "";
const real: Which = () => installed;

describe("voice with the real espeak-ng", () => {
  spoken(`speaks a text to a WAV whose header holds its true sizes${label}`, async () => {
    const voice = await started(real);
    const answer = await speak(voice, { text: "Hello, world." });
    const wav = Buffer.from(String(answer.base64), "base64");
    expect(answer).toMatchObject({ format: "wav", bytes: wav.length, voice: "en" });
    expect(wav.toString("latin1", 0, 4) + wav.toString("latin1", 8, 16)).toBe("RIFFWAVEfmt ");
    expect(wav.readUInt32LE(4)).toBe(wav.length - 8);
    expect(wav.toString("latin1", 36, 40)).toBe("data");
    expect(wav.readUInt32LE(40)).toBe(wav.length - 44);
    const bytesPerSecond = wav.readUInt32LE(28);
    expect(answer.durationMs).toBe(Math.round(((wav.length - 44) / bytesPerSecond) * 1_000));
    expect(Number(answer.durationMs)).toBeGreaterThan(300);
    expect(wav.subarray(44).some((byte) => byte !== 0)).toBe(true);
  });

  spoken(`speed, voice and pitch change what is heard${label}`, async () => {
    const voice = await started(real);
    const text = "one two three four five";
    const [slow, fast] = [await speak(voice, { text, speed: 80 }), await speak(voice, { text, speed: 450 })];
    expect(Number(slow.durationMs)).toBeGreaterThan(2 * Number(fast.durationMs));
    const german = await speak(voice, { text, voice: "de" });
    expect(german.voice).toBe("de");
    const high = await speak(voice, { text, pitch: 99 });
    const plain = await speak(voice, text);
    expect(new Set([german.base64, high.base64, plain.base64]).size).toBe(3);
  });

  spoken(`a text is read as text: no option, no shell, no phonemes, no control codes${label}`, async () => {
    const voice = await started(real);
    const base = await speak(voice, "hello");
    const touched = join(folder(), "touched");
    for (const text of [
      "--version",
      `$(touch ${touched})`,
      "[[h@l'oU]]",
      "\u0001 80S hello",
      "héllo 世界 \ud800",
    ])
      expect(await speak(voice, text)).toMatchObject({ format: "wav" });
    expect(existsSync(touched)).toBe(false);
    // As a command, the control code would change the speed; as a blank it changes nothing.
    expect((await speak(voice, "\u0001hello")).bytes).toBe(base.bytes as number);
  });

  spoken(`a voice that espeak-ng has not is the caller's mistake${label}`, async () => {
    const voice = await started(real);
    expect(await speak(voice, { text: "hi", voice: "nosuch" })).toMatchObject({
      error: {
        code: "bad-request",
        message: expect.stringContaining('"nosuch": espeak-ng has none of that name'),
      },
    });
  });

  spoken(`the longest text is written to the data folder${label}`, async () => {
    const data = join(folder(), "data");
    const voice = await started(real, {}, data);
    const answer = await speak(voice, { text: "hello ".repeat(833), speed: 450 });
    expect(answer.base64).toBeUndefined();
    const wav = readFileSync(String(answer.path));
    expect(wav.length).toBe(Number(answer.bytes));
    expect(wav.readUInt32LE(4)).toBe(wav.length - 8);
  });

  spoken(`is healthy and says which program${label}`, async () => {
    const voice = await started(real);
    expect(await voice.healthCheck?.()).toEqual({ status: "healthy", detail: `speaks through ${installed}` });
  });
});

describe("voice without espeak-ng", () => {
  test("starts, is unhealthy with the install commands, and requests fail with the same", async () => {
    const voice = await started(() => null);
    const health = await voice.healthCheck?.();
    expect(health?.status).toBe("unhealthy");
    for (const part of [
      "espeak-ng is not installed",
      "apt-get install espeak-ng",
      "dnf install",
      "brew install",
    ])
      expect(health?.detail).toContain(part);
    expect(await failure(() => speak(voice, "hi"))).toBe(health?.detail ?? "");
  });

  test("it is looked for on PATH at every check, so installing it is enough", async () => {
    const made = await silence(4_410);
    const path = process.env.PATH;
    cleanups.push(() => {
      process.env.PATH = path;
    });
    const voice = createVoice();
    process.env.PATH = folder();
    await initialize(voice, "voice", { program: "espeak" });
    expect((await voice.healthCheck?.())?.status).toBe("unhealthy");
    process.env.PATH = made.folder;
    expect((await voice.healthCheck?.())?.status).toBe("healthy");
    expect(await speak(voice, "hi")).toMatchObject({ durationMs: 100 });
  });
});

describe("voice and its program", () => {
  test("hands the text over stdin and the manner as separate arguments, in a clean environment", async () => {
    const made = await silence(44_100);
    const voice = await started(made.which, { voice: "de", speed: 200 });
    expect(await speak(voice, { text: "a; rm -rf b", pitch: 7 })).toMatchObject({
      durationMs: 1_000,
      voice: "de",
    });
    expect(readFileSync(join(made.folder, "text"), "utf8")).toBe("a; rm -rf b");
    expect(readFileSync(join(made.folder, "args"), "utf8")).toBe("--stdin --stdout -b 1 -v de -s 200 -p 7\n");
    const names = readFileSync(join(made.folder, "env"), "utf8").match(/^\w+(?==)/gm) ?? [];
    const set = names.filter((name) => !["PATH", "PWD", "OLDPWD", "SHLVL", "_"].includes(name));
    expect(set).toEqual(["LC_ALL"]);
    await speak(voice, "a [[b]]\u0001c");
    expect(readFileSync(join(made.folder, "text"), "utf8")).toBe("a [ [b]] c");
  });

  // 4/3 of 525,000 bytes are the 700,000 that fit; a WAV is 44 bytes of header and whole samples.
  test("an answer holds up to 700,000 bytes of base64; what is larger needs a data folder", async () => {
    const fits = await started((await silence(525_000 - 44)).which);
    expect(String((await speak(fits, "hi")).base64)).toHaveLength(700_000);
    const large = await silence(525_000 - 42);
    expect(await speak(await started(large.which), "hi")).toMatchObject({
      error: {
        code: "too-long",
        message: expect.stringContaining("no data folder for a file: shorten the text"),
      },
    });
    const data = folder();
    const answer = await speak(await started(large.which, {}, data), "hi");
    expect(answer).toMatchObject({ bytes: 525_002, durationMs: 11_904 });
    expect(statSync(String(answer.path)).mode & 0o777).toBe(0o600);
  });

  test("keeps the newest ten files, and none that is not its own", async () => {
    const data = folder();
    await Bun.write(join(data, "notes.wav"), "mine");
    const voice = await started((await silence(600_000)).which, {}, data);
    const paths: string[] = [];
    for (let index = 0; index < 12; index++) paths.push(String((await speak(voice, "hi")).path));
    expect(readdirSync(data)).toHaveLength(11);
    expect(paths.map((path) => existsSync(path))).toEqual(paths.map((_, index) => index >= 2));
    expect(existsSync(join(data, "notes.wav"))).toBe(true);
  });

  test("a program that floods is killed at 24 MiB, and the answer says to shorten the text", async () => {
    const made = await script('echo $$ > "$here/pid"; exec cat /dev/zero');
    const voice = await started(made.which);
    expect(await speak(voice, "hi")).toMatchObject({ error: { code: "too-long" } });
    expect(isAlive(Number(readFileSync(join(made.folder, "pid"), "utf8")))).toBe(false);
  });

  test("a program that fails, or floods stderr first, fails the request with the start of its message", async () => {
    const voice = await started((await script("echo no sound card >&2; exit 3")).which);
    expect(await failure(() => speak(voice, "hi"))).toBe("espeak-ng ended with 3: no sound card");
    const loud = await started((await script("head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 1")).which);
    expect((await failure(() => speak(loud, "hi"))).length).toBeLessThan(400);
  });

  test("what is no WAV, or one without sound, is not handed on", async () => {
    for (const body of ["exit 0", "echo hello", "cat > /dev/null; cat $here/header"]) {
      const made = await script(body);
      await Bun.write(join(made.folder, "header"), streamedHeader());
      const voice = await started(made.which);
      expect(await speak(voice, "hi")).toMatchObject({
        error: { message: expect.stringContaining("nothing to say") },
      });
    }
  });

  const hangs = 'echo $$ > "$here/pid.tmp"; mv "$here/pid.tmp" "$here/pid"; exec sleep 60';
  const pidOf = async (home: string): Promise<number> => {
    await eventually(() => existsSync(join(home, "pid")));
    return Number(readFileSync(join(home, "pid"), "utf8"));
  };

  test("is killed when the request is aborted, before or while it runs", async () => {
    const made = await script(hangs);
    const voice = await started(made.which);
    const caller = new AbortController();
    const failed = failure(() => speak(voice, "hi", caller.signal));
    const pid = await pidOf(made.folder);
    expect(isAlive(pid)).toBe(true);
    caller.abort();
    expect(await failed).toBe("the speech was cancelled");
    expect(isAlive(pid)).toBe(false);
    expect(await failure(() => speak(voice, "hi", caller.signal))).toBe("the speech was cancelled");
  });

  test("is killed after timeoutMs, and the error says how to go on", async () => {
    const made = await script(hangs);
    const voice = await started(made.which, { timeoutMs: 200 });
    expect(await failure(() => speak(voice, "hi"))).toBe(
      "espeak-ng took more than 200 ms: shorten the text or raise timeoutMs",
    );
    expect(isAlive(await pidOf(made.folder))).toBe(false);
  });

  test("is killed at shutdown, which waits until it is gone", async () => {
    const made = await script(hangs);
    const voice = await started(made.which);
    const failed = failure(() => speak(voice, "hi"));
    const pid = await pidOf(made.folder);
    await voice.shutdown?.();
    expect(isAlive(pid)).toBe(false);
    expect(await failed).toBe("the speech was cancelled");
  });

  test("two speeches run at once, a third is told to wait, and a place is free again afterwards", async () => {
    const made = await script(`cat > /dev/null; echo x >> "$here/started"
while [ ! -e "$here/go" ]; do sleep 0.02; done; cat "$here/header"; head -c 4410 /dev/zero`);
    await Bun.write(join(made.folder, "header"), streamedHeader());
    const voice = await started(made.which);
    const both = [speak(voice, "one"), speak(voice, "two")];
    expect(await speak(voice, "three")).toMatchObject({ error: { code: "busy" } });
    await Bun.write(join(made.folder, "go"), "");
    for (const answer of await Promise.all(both)) expect(answer.durationMs).toBe(100);
    expect(await speak(voice, "four")).toMatchObject({ durationMs: 100 });
  });
});

describe("voice and bad input", () => {
  const mistakes: [string, Json, string][] = [
    ["no payload", null, "payload.text: expected a text"],
    ["an empty text", " \n", "payload.text: expected a text"],
    ["a text that is a number", { text: 5 }, "payload.text: expected a text"],
    ["a list", ["hi"], "payload.text: expected a text"],
    ["a text of 5,001 characters", "x".repeat(5_001), "payload.text: 5001 characters: at most 5000"],
    [
      "a speed too high",
      { text: "a", speed: 451 },
      "payload.speed: 451: expected a whole number from 80 to 450",
    ],
    ["a speed as text", { text: "a", speed: "200" }, 'payload.speed: "200": expected a whole number'],
    [
      "a pitch below zero",
      { text: "a", pitch: -1 },
      "payload.pitch: -1: expected a whole number from 0 to 99",
    ],
    ["a pitch with a fraction", { text: "a", pitch: 1.5 }, "payload.pitch: 1.5: expected a whole number"],
    [
      "a voice that is an option",
      { text: "a", voice: "--path=/" },
      'payload.voice: "--path=/": expected a voice',
    ],
    ["a voice that is a path", { text: "a", voice: "../../etc/passwd" }, "payload.voice: "],
    ["a voice that is too long", { text: "a", voice: "a".repeat(41) }, "payload.voice: "],
  ];
  test.each(mistakes)(
    "%s is answered with what was expected, and starts nothing",
    async (_, payload, reason) => {
      const made = await script('touch "$here/ran"');
      const voice = await started(made.which);
      const answer = await speak(voice, payload);
      expect(answer).toMatchObject({
        error: { code: "bad-request", message: expect.stringContaining(reason) },
      });
      expect(existsSync(join(made.folder, "ran"))).toBe(false);
    },
  );

  test("an unknown type names the known ones; message is one of them", async () => {
    const voice = await started((await silence(4_410)).which);
    expect(await ask(voice, { platform: "voice", type: "sing", payload: "la" })).toMatchObject({
      error: { message: 'type "sing": expected speak or message' },
    });
    expect(await ask(voice, { platform: "voice", payload: "la" })).toMatchObject({ format: "wav" });
  });

  const settings: [Record<string, Json>, string][] = [
    [{ speed: 9_000 }, "plugins.config.voice.speed: 9000: expected a whole number from 80 to 450"],
    [{ pitch: "high" }, 'plugins.config.voice.pitch: "high": expected a whole number from 0 to 99'],
    [{ voice: "a/b" }, 'plugins.config.voice.voice: "a/b": expected a voice of espeak-ng'],
    [{ timeoutMs: 1 }, "plugins.config.voice.timeoutMs: 1: expected a whole number from 100 to 60000"],
    [{ program: "" }, 'plugins.config.voice.program: "": expected a program'],
    [{ sped: 200 }, "plugins.config.voice.sped: 200: expected one of the keys program, voice, speed"],
  ];
  test.each(settings)("refuses the setting %j", async (config, reason) => {
    expect(await failure(() => started(() => null, config))).toContain(reason);
  });
});

describe("finishing a streamed WAV", () => {
  test("skips chunks before the sound, padded to even lengths", () => {
    const header = streamedHeader();
    const list = Buffer.from("LIST\x03\x00\x00\x00abc\x00", "latin1");
    const wav = Buffer.concat([header.subarray(0, 36), list, header.subarray(36), Buffer.alloc(441)]);
    const finished = finishWav(wav);
    expect(finished?.durationMs).toBe(10);
    expect(finished?.wav.readUInt32LE(wav.length - 445)).toBe(441);
  });

  test("refuses every cut of a header, and other formats", () => {
    const header = streamedHeader();
    for (let length = 0; length <= header.length; length++)
      expect(finishWav(Buffer.from(header.subarray(0, length)))).toBeNull();
    expect(finishWav(Buffer.alloc(100))).toBeNull();
  });
});
