/**
 * Checks on a whole machine of its own what a container cannot show: limits by cgroup version 2, permissions by an older
 * kernel, conductor as a service of systemd, as root and as an ordinary user. Takes two minutes, on a busy host six.
 *
 *   bun test/vm/run.ts DUEL_FOLDER [--binary dist/conductor] [--keep FOLDER]
 *
 * DUEL_FOLDER is the duel's, whose image is booted, and built before if need be: that takes root. Exit code 0: all holds;
 * 1: something does not, or nothing could be checked; 2: usage. `--keep` leaves the findings and the logs of every
 * conductor that ran.
 */

import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Findings, table } from "./checks.ts";
import { runInMachine } from "./machine.ts";

const root = join(import.meta.dir, "../..");
const usage = "bun test/vm/run.ts DUEL_FOLDER [--binary dist/conductor] [--keep FOLDER]";

/** The duel's image starts a Python script; ours is TypeScript, which the executable under test can run as Bun does. */
const starter = `import os, subprocess
os.makedirs("/duel/out", exist_ok=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with open("/duel/out/guest.log", "w") as log:
    subprocess.run(["/duel/conductor", "/duel/guest.js"], env={**os.environ, "BUN_BE_BUN": "1"}, stdout=log, stderr=log)
`;

async function fill(folder: string, binary: string): Promise<void> {
  copyFileSync(binary, join(folder, "conductor"));
  chmodSync(join(folder, "conductor"), 0o755);
  writeFileSync(join(folder, "guest.py"), starter);
  copyFileSync(join(root, "test/fixtures/plugins/prober.py"), join(folder, "prober.py"));
  const built = await Bun.build({ entrypoints: [join(import.meta.dir, "guest.ts")], target: "bun" });
  if (!built.success) throw new AggregateError(built.logs, "the guest did not compile");
  for (const output of built.outputs) await Bun.write(join(folder, "guest.js"), output);
}

const logs = ["guest.log", "root.log", "nobody.log", "undelegated.log", "hardened.log", "checks.json"];

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Bun.argv.slice(2),
    options: { binary: { type: "string" }, keep: { type: "string" } },
    allowPositionals: true,
  });
  const [duel] = positionals;
  const binary = values.binary ?? join(root, "dist/conductor");
  const missing =
    duel === undefined ? "DUEL_FOLDER" : [join(duel, "run"), binary].find((path) => !existsSync(path));
  if (duel === undefined || missing !== undefined) {
    process.stderr.write(`${missing}: missing; usage: ${usage}\n`);
    return 2;
  }
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupt.abort());
  const booted = await runInMachine({
    duel,
    fill: (folder) => fill(folder, binary),
    signal: interrupt.signal,
  });
  const { keep } = values;
  if (keep !== undefined) {
    mkdirSync(keep, { recursive: true });
    for (const name of logs) writeFileSync(join(keep, name), booted.read(name) ?? "");
  }
  const text = booted.read("checks.json");
  if (text === null) {
    process.stderr.write(
      `the guest left no findings\n${booted.read("guest.log") ?? ""}\n${booted.console}\n`,
    );
    return 1;
  }
  const findings = JSON.parse(text) as Findings;
  process.stdout.write(`${table(findings)}\n`);
  return findings.checks.length > 0 && findings.checks.every(({ ok }) => ok) ? 0 : 1;
}

process.exit(await main());
