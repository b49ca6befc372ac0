/** status, plugins, why, forecast: against a conductor that runs, as text and as JSON. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { conductor, type Ended } from "../e2e/one-command.ts";
import { RunningConductor, until } from "../e2e/running-conductor.ts";
import { calm, pressing, quick, roomyBudget } from "../e2e/thresholds.ts";

const base = `budget: { memory: ${roomyBudget()} }\n${quick}plugins: { config: { android: { port: 0 } } }\n`;
let running: RunningConductor;

beforeAll(async () => {
  running = await RunningConductor.start({ config: base + calm });
}, 20_000);

afterAll(async () => {
  await running.terminate();
  running.remove();
}, 20_000);

const ask = (...args: string[]): Promise<Ended> =>
  conductor([...args, "--port", running.port], {
    cwd: running.folder,
    environment: { STATE_DIRECTORY: `${running.folder}/state` },
  });

async function text(...args: string[]): Promise<string> {
  const { code, out, err } = await ask(...args);
  expect([code, err]).toEqual([0, ""]);
  return out;
}

const json = async (...args: string[]) =>
  JSON.parse(await text(...args, "-o", "json")) as Record<string, unknown>;

test("before any decision, why says so", async () => {
  const { code, err } = await ask("why");
  expect([code, err]).toEqual([1, "conductor: no decision was taken yet\n"]);
});

test("status shows memory, forecast, what the scaler thinks, and each plugin", async () => {
  const out = await text("status");
  expect(out).toMatch(/^memory +[\d.]+ [MG]iB of [\d.]+ [MG]iB \([\d.]+ %\)$/m);
  expect(out).toMatch(
    /^forecast +[\d.]+ %, 95 % interval -?[\d.]+ % to [\d.]+ % \((cold|ready), (ols|adaptive, calibrat(ing|ed))\)$/m,
  );
  expect(out).toMatch(/^scaler +nothing to do$/m);
  expect(out).toMatch(/^NAME +VERSION +RUNTIME +STATE +MEMORY +RESTARTS +PIDS +REASON$/m);
  for (const name of ["android", "discord", "stubs", "voice"])
    expect(out).toMatch(
      new RegExp(`^${name} +1\\.0\\.0 +bun +(ready|degraded) +[\\d.]+ MiB \\w+ +0 +\\d+ +\\w`, "m"),
    );
  expect(await json("status")).toMatchObject({
    scaling: { measured: { usedRatio: expect.any(Number) }, shedding: false },
    plugins: [{ name: "android" }, { name: "discord" }, { name: "stubs" }, { name: "voice" }],
  });
});

test("forecast shows value, interval, slope and what it is based on", async () => {
  await until("it has met outcomes", 20_000, async () => (await text("forecast")).includes("(adaptive, "));
  const out = await text("forecast");
  expect(out).toMatch(/^in 1 s +[\d.]+ % of the budget, at \d{4}-\d\d-\d\dT/m);
  expect(out).toMatch(/^interval +[\d.]+ % to [\d.]+ % \(95 %\), calibrat(ing|ed): .+$/m);
  expect(out).toMatch(/^slope +(none that differs from noise|-?[\d.]+ % of the budget a minute.*)$/m);
  expect(out).toMatch(/^based on +\d+ samples \(adaptive, wasm kernel\)$/m);
  expect(out).toMatch(/^experts +.*last [\d.]+ %/m);
  expect(out).toMatch(/^line +-?[\d.]+ %, -?[\d.]+ % to [\d.]+ %$/m);
  expect(await json("forecast")).toMatchObject({
    kernel: "wasm",
    horizonSeconds: 1,
    memory: { state: "ready", confidence: 0.95 },
  });
});

describe("plugins", () => {
  test("restarts, disables and enables one, with the token from its file", async () => {
    const before = await running.plugin("discord");
    expect(await text("plugins", "restart", "discord")).toMatch(/^discord .* ready /m);
    expect((await running.plugin("discord")).pids).not.toEqual(before.pids);
    expect(await text("plugins", "disable", "discord")).toMatch(
      /^discord +1\.0\.0 +bun +disabled +- +0 +- +disabled/m,
    );
    expect(await json("plugins", "enable", "discord")).toMatchObject({ name: "discord", state: "ready" });
  });

  test("of an unknown plugin says so", async () => {
    const { code, err } = await ask("plugins", "restart", "fax");
    expect(code).toBe(1);
    expect(err).toMatch(/^conductor: There is no such plugin: .*fax.*\n$/);
  });

  test("without the right token says what is needed", async () => {
    const { code, err } = await conductor(["plugins", "restart", "discord", "--port", running.port], {
      cwd: running.folder,
      environment: { CONDUCTOR_TOKEN: "a-token-that-is-somebody-elses" },
    });
    expect(code).toBe(1);
    expect(err).toMatch(
      /^conductor: This needs the administrator's token: .*"token" beside the database.*\n$/,
    );
  });
});

test("why explains a decision by number, the last one, and the last one about a plugin", async () => {
  running.reload(base + (await pressing(running)));
  await until("discord is shed", 10_000, async () => (await running.states()).discord === "shed");
  await until("all is recorded", 5_000, async () =>
    (await text("why", "discord")).includes("outcome     done"),
  );
  const voice = await text("why", "voice");
  expect(voice).toMatch(/^decision 1: voice was stopped(, [\d.]+ [KM]?i?B came back)?$/m);
  expect(voice).toMatch(/^\d{4}-.*Z, rule "threshold": the measured use is at the shed line$/m);
  expect(voice).toMatch(
    /% of the budget is used, at or over the shed line of .*: voice, which holds .* is the first/,
  );
  expect(voice).toMatch(/^ {2}measured +[\d.]+ [MG]iB of [\d.]+ [MG]iB \([\d.]+ %\)$/m);
  expect(voice).toMatch(
    /^ {2}action +shed voice: expected [\d.]+ MiB, -?[\d.]+ [KM]?i?B back in [\d.]+ m?s/m,
  );
  expect(voice).toMatch(/^ {14}shed stubs: the last in the degradation order is never shed$/m);
  expect(voice).toMatch(/^ {14} +signalled \d+ ms after the decision; its memory back [\d.]+ m?s after it$/m);
  expect(voice).toMatch(/^ {2}outcome +done\n {2}since then +voice has not been brought back$/m);
  expect(voice).toMatch(/^ {2}plan +to under [\d.]+ %, measured again after each step/m);
  expect(voice).toMatch(/^ {2}policy +mission: shed from [\d.]+ % on, until under [\d.]+ %;/m);
  expect(await text("why", "1")).toBe(voice);
  expect(await text("why")).toBe(await text("why", "last"));
  expect(await json("why", "discord")).toMatchObject({
    rule: "threshold",
    outcome: "done",
    actions: [{ kind: "shed", plugin: "discord", done: true }],
  });
  const now = await text("why", "now");
  expect(now).toMatch(/^now: (nothing is done|memory is short, and no further plugin is stopped)$/m);
  expect(now).toMatch(/^ {2}not +shed voice: is shed already$/m);
  expect(await json("why", "now")).toMatchObject({ verdict: { rule: "hold" }, inputs: { measured: {} } });
  expect(await text("status")).toMatch(/^voice .* shed /m);
  const none = await ask("why", "stubs");
  expect([none.code, none.err]).toEqual([1, "conductor: stubs: no decision about a plugin of that name\n"]);
  const number = await ask("why", "999");
  expect(number.err).toMatch(/^conductor: There is no such decision: .*\n$/);
}, 30_000);

test("why without a conductor reads the record of its database, and says so", async () => {
  const told = await text("why", "voice");
  const offline = (...args: string[]) =>
    conductor(["why", ...args, "--port", "9"], {
      cwd: running.folder,
      environment: { STATE_DIRECTORY: `${running.folder}/state` },
    });
  const { code, out, err } = await offline("voice");
  expect([code, out]).toEqual([0, told]);
  expect(err).toBe(
    `conductor: no conductor answers at http://127.0.0.1:9 (connection refused); read from the database ${running.folder}/state/conductor.db instead\n`,
  );
  expect(JSON.parse((await offline("1", "-o", "json")).out)).toEqual(await json("why", "1"));
  expect((await offline("999")).err).toMatch(/\nconductor: 999: there is no such decision\n$/);
  // What happens now only a running conductor knows.
  expect((await offline("now")).err).toMatch(/^conductor: no conductor answers .* start one with/);
}, 30_000);
