/** The virtual machine of the duel, booted with a guest of ours: its image as it is, and a disk of our own at /duel. */

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Emulated processors are slow: a boot takes about 10 s, the checks two or three minutes. */
const mostSeconds = 900;
const memoryMiB = 1_280;
/** Beside what is put on it, for what the guest writes. */
const spareBytes = 192 * 2 ** 20;

export interface MachineOptions {
  /** The folder of the duel, which knows how its image is built. */
  duel: string;
  /** Puts on the disk what the guest needs; `guest.py` is what it starts. */
  fill(folder: string): Promise<void>;
  /** Ends the machine early. */
  signal: AbortSignal;
}

export interface Booted {
  /** What the guest wrote to /duel/out, by name. */
  read(name: string): string | null;
  /** The end of its console. */
  console: string;
}

async function run(command: string[]): Promise<string> {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` };
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe", env });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (code !== 0) throw new Error(`${command[0]}: exit ${code}: ${err.slice(-2_000)}`);
  return out;
}

/** The folder of the machine's parts, built by the duel if need be. */
async function imageOf(duel: string): Promise<string> {
  const script = [
    "import sys",
    "from importlib.machinery import SourceFileLoader",
    "sys.dont_write_bytecode = True",
    "sys.path.insert(0, sys.argv[1])",
    "duel = SourceFileLoader('duel', sys.argv[1] + '/run').load_module()",
    "duel.need(duel.RUN_TOOLS)",
    "print(duel.image())",
  ];
  return (await run(["python3", "-c", script.join("\n"), resolve(duel)])).trim();
}

async function makeDisk(folder: string, disk: string): Promise<void> {
  const kiB = Number((await run(["du", "-sk", folder])).split(/\s/)[0]);
  await Bun.write(disk, "");
  truncateSync(disk, Math.ceil(kiB * 1_024 * 1.1) + spareBytes);
  await run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", folder, disk]);
}

async function boot(image: string, disk: string, log: string, signal: AbortSignal): Promise<void> {
  const drive = (file: string) => ["-drive", `${file},if=virtio,format=raw,cache=unsafe`];
  const machine = Bun.spawn(
    [
      ...["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"],
      ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", String(memoryMiB)],
      ...["-nodefaults", "-nographic", "-no-reboot", "-serial", `file:${log}`],
      ...["-kernel", join(image, "vmlinuz"), "-initrd", join(image, "initrd.gz")],
      ...["-append", "console=ttyS0 quiet loglevel=3 panic=-1 rw mitigations=off psi=1"],
      ...drive(`file=${join(image, "root.img")},snapshot=on`),
      ...drive(`file=${disk}`),
    ],
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      timeout: mostSeconds * 1_000,
      killSignal: "SIGKILL",
    },
  );
  const [code, err] = await Promise.all([machine.exited, new Response(machine.stderr).text()]);
  if (signal.aborted) throw new Error("interrupted");
  if (machine.signalCode !== null) throw new Error(`the machine did not finish within ${mostSeconds} s`);
  if (code !== 0) throw new Error(`qemu: exit ${code}: ${err.slice(-2_000)}`);
}

/** Boots it, waits until the guest is done, and hands over what it left. Leaves no file behind. */
export async function runInMachine({ duel, fill, signal }: MachineOptions): Promise<Booted> {
  const image = await imageOf(duel);
  const scratch = mkdtempSync(join(tmpdir(), "conductor-machine-"));
  const [payload, disk, log] = ["payload", "payload.img", "console.log"].map((name) => join(scratch, name));
  try {
    if (!payload || !disk || !log) throw new Error("three paths are missing");
    mkdirSync(payload);
    chmodSync(payload, 0o755);
    await fill(payload);
    await makeDisk(payload, disk);
    const failure = await boot(image, disk, log, signal).then(
      () => null,
      (error: unknown) => error,
    );
    const said = existsSync(log) ? readFileSync(log, "utf8").replaceAll("\u001b", "").slice(-4_000) : "";
    if (failure !== null) throw new Error(`${failure}\n${said}`);
    await run(["debugfs", "-R", `rdump /out ${scratch}`, disk]);
    const left = new Map<string, string>();
    if (existsSync(join(scratch, "out")))
      for await (const name of new Bun.Glob("*").scan({ cwd: join(scratch, "out") }))
        left.set(name, readFileSync(join(scratch, "out", name), "utf8"));
    return { read: (name) => left.get(name) ?? null, console: said };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
