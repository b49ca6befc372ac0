import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { codeMappings } from "../../src/conductor/resident-code.ts";
import { cleanUpAfterEach } from "../e2e/clean-up.ts";
import { RunningConductor, until } from "../e2e/running-conductor.ts";

const defer = cleanUpAfterEach();

test("the program is what is read from files and never written", () => {
  const maps = `00200000-00400000 r--p 00000000 fe:00 17 /usr/bin/conductor
00400000-00500000 r-xp 00200000 fe:00 17 /usr/bin/conductor
00500000-00600000 rw-p 00300000 fe:00 17 /usr/bin/conductor
00600000-00700000 ---p 00000000 fe:00 18 /usr/lib/libc.so.6
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000002000-7f0000003000 r--p 00000000 00:00 0 [vvar]
`;
  expect(codeMappings(maps)).toEqual([
    { start: 0x200000, bytes: 0x200000 },
    { start: 0x400000, bytes: 0x100000 },
  ]);
});

test.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
  "a conductor that serves as root keeps its program in memory",
  async () => {
    const conductor = await RunningConductor.start();
    defer(() => conductor.remove());
    defer(() => conductor.kill());
    const lockedKib = () =>
      Number(/^VmLck:\s+(\d+) kB/m.exec(readFileSync(`/proc/${conductor.pid}/status`, "utf8"))?.[1]);
    // The executable is over 100 MB; what is not used is not read for it.
    await until("it is locked", 5_000, () => lockedKib() > 50_000);
    expect(conductor.logged("conductor.code_not_locked")).toEqual([]);
  },
  20_000,
);
