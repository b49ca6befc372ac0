/** conductor preflight: against a conductor that runs, alone and in front of a command. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { cleanUpAfterEach, scratchFolder } from "../e2e/clean-up.ts";
import { conductor, type Ended } from "../e2e/one-command.ts";
import { executable, RunningConductor, until } from "../e2e/running-conductor.ts";
import { calm, quick } from "../e2e/thresholds.ts";

const defer = cleanUpAfterEach();
const MiB = 2 ** 20;
let running: RunningConductor;

beforeAll(async () => {
  // The budget is the whole host: only a share of it is promised, and what others use meanwhile makes no difference.
  const config = `${quick}plugins: { config: { android: { port: 0 } } }\n${calm}`;
  running = await RunningConductor.start({ config });
}, 20_000);

afterAll(async () => {
  await running.terminate();
  running.remove();
}, 20_000);

const environment = () => ({ STATE_DIRECTORY: `${running.folder}/state` });
const ask = (...args: string[]): Promise<Ended> =>
  conductor(["preflight", ...args], { cwd: running.folder, environment: environment() });
const here = () => ["--port", running.port];

interface Reservation {
  kind: string;
  name: string;
  bytes: number;
  takenBytes: number;
}

const leases = async (): Promise<Reservation[]> => {
  const { reservations } = await running.get<{ reservations: Reservation[] }>("/api/v1/scaling/status");
  return reservations.filter(({ kind }) => kind === "lease");
};

describe("alone", () => {
  test("says that it may go on, for how long, and what the lease is called", async () => {
    const { code, out, err } = await ask("64MiB", "--lease", "1s", ...here());
    expect([code, err]).toEqual([0, ""]);
    expect(out).toMatch(
      /^proceed: 64\.0 MiB fit: .+ of the budget would be used, .+\nlease [0-9a-f-]{36} until \S+Z\n$/,
    );
    const asJson = await ask("64MiB", "--lease", "5s", "--name", "backup", ...here(), "-o", "json");
    expect(JSON.parse(asJson.out)).toMatchObject({ decision: "proceed", name: "backup", bytes: 64 * MiB });
    expect(await leases()).toContainEqual(expect.objectContaining({ name: "backup", bytes: 64 * MiB }));
    const status = await conductor(["status", ...here()], {
      cwd: running.folder,
      environment: environment(),
    });
    expect(status.out).toMatch(/^promised {2}\S+ MiB: .*64\.0 MiB to backup \(lease\)/m);
  });

  test("fails where there is no room, and says who has it", async () => {
    const { measured } = await running.get<{ measured: { usedBytes: number; budgetBytes: number } }>(
      "/api/v1/scaling/status",
    );
    const most = `${Math.floor((0.8 * measured.budgetBytes - measured.usedBytes / 2) / MiB)}MiB`;
    const { code, out, err } = await ask(most, ...here());
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(
      /^conductor: There is no room for so much memory .+: there is no room: .+ what is no plugin .+\n$/,
    );
    const asJson = await ask(most, ...here(), "-o", "json");
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.out)).toMatchObject({ status: 503, decision: "refuse", blocked_by: "memory" });
    const never = await ask("900TiB", ...here());
    expect([never.code, never.err]).toEqual([
      1,
      expect.stringContaining("So much memory is never given: bytes: "),
    ]);
    // Neither is a command begun.
    const begun = await ask(most, ...here(), "--", "touch", "begun");
    expect(begun.code).toBe(1);
    expect(await Bun.file(join(running.folder, "begun")).exists()).toBe(false);
  });
});

/** Runs it until `work` is done; `input` ends the command when it is closed. */
function start(...args: string[]) {
  const child = Bun.spawn([executable, "preflight", ...here(), ...args], {
    cwd: running.folder,
    env: { PATH: process.env.PATH ?? "", ...environment() },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  defer(() => child.kill("SIGKILL"));
  return child;
}

describe("in front of a command", () => {
  test("keeps its memory free while it runs, takes what it holds out, and ends as it does", async () => {
    const holding = "(head -c 100663296 /dev/zero; cat) | tail | wc -c; exit 7";
    const child = start("256MiB", "--name", "holder", "--", "sh", "-c", holding);
    const [lease] = await until("it is leased", 10_000, async () => {
      const held = (await leases()).filter(({ name }) => name === "holder");
      return held.length > 0 ? held : null;
    });
    expect(lease).toMatchObject({ bytes: 256 * MiB });
    await until("what it holds is taken out", 15_000, async () =>
      (await leases()).some(({ name, takenBytes }) => name === "holder" && takenBytes >= 96 * MiB),
    );
    child.stdin.end();
    expect(await child.exited).toBe(7);
    expect(await new Response(child.stdout).text()).toBe("100663296\n");
    expect(await new Response(child.stderr).text()).toBe("");
    expect((await leases()).filter(({ name }) => name === "holder")).toEqual([]);
  }, 40_000);

  test("passes on a signal that comes as soon as the command runs", async () => {
    const child = start("16MiB", "--name", "hasty", "--", "sh", "-c", "kill -TERM $PPID; exec sleep 60");
    expect(await child.exited).toBe(143);
    expect((await leases()).filter(({ name }) => name === "hasty")).toEqual([]);
  }, 20_000);

  test("passes a signal on, and gives the lease back then too", async () => {
    const child = start("16MiB", "--name", "signalled", "--", "sh", "-c", "echo begun; cat");
    const { value } = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe("begun\n");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(143);
    expect((await leases()).filter(({ name }) => name === "signalled")).toEqual([]);
  }, 20_000);

  test("that does not exist says so, and holds nothing", async () => {
    const { code, err } = await ask("16MiB", ...here(), "--", "no-such-program", "-x");
    expect([code, err]).toEqual([127, "conductor: no-such-program: no such program\n"]);
    expect((await leases()).filter(({ name }) => name === "no-such-program")).toEqual([]);
  });

  test("waits for room where it is asked to", async () => {
    const { measured } = await running.get<{ measured: { usedBytes: number; budgetBytes: number } }>(
      "/api/v1/scaling/status",
    );
    const room = 0.8 * measured.budgetBytes - measured.usedBytes;
    const size = `${Math.floor((0.6 * room) / MiB)}MiB`;
    expect(await ask(size, "--lease", "2s", "--name", "first", ...here())).toMatchObject({
      code: 0,
      err: "",
    });
    expect((await ask(size, ...here(), "--", "true")).code).toBe(1);
    expect((await ask(size, "--wait", "10s", ...here(), "--", "true")).code).toBe(0);
  }, 20_000);
});

test.each([
  [[], 'expected how much memory, such as "2GiB"'],
  [["2"], '2: expected a unit (B, KiB, MiB, GiB, TiB, kB, KB, MB, GB, TB), such as "512MiB"'],
  [["0B"], "0B: expected more than 0B"],
  [["1MiB", "--lease", "2h"], "--lease 2h: expected 1ms to 1h"],
  [["1MiB", "--wait", "soon"], '--wait soon: expected a number with a unit, such as "30s"'],
  [
    ["1MiB", "--lease", "1s", "--", "true"],
    "--lease: only without a command: its lease lasts as long as it runs",
  ],
])("%j is wrong usage", async (args, message) => {
  const { code, err } = await conductor(["preflight", "--port", "1", ...args], { cwd: scratchFolder(defer) });
  expect([code, err]).toEqual([2, `conductor: ${message}\n`]);
});
