/** Who belongs to a plugin, read in one go and in turns. */

import { afterEach, describe, expect, test } from "bun:test";
import { readProcess } from "../../src/plugins/proc-table.ts";
import { type FamilyTies, findFamily, findFamilyInTurns } from "../../src/plugins/process-family.ts";

const started: Bun.Subprocess[] = [];
afterEach(async () => {
  for (const shell of started.splice(0)) {
    process.kill(-shell.pid, "SIGKILL");
    await shell.exited;
  }
});

let families = 0;

/** A shell with a child, in a session of its own; resolves when both run. */
async function family(): Promise<{ pid: number; startTicks: number; child: number; mark: string[] }> {
  const value = `${process.pid}-${families++}`;
  const shell = Bun.spawn(["sh", "-c", "sleep 60 & echo $!; wait"], {
    env: { PATH: process.env.PATH ?? "", TEST_FAMILY: value },
    detached: true,
    stdout: "pipe",
  });
  started.push(shell);
  const { value: line } = await shell.stdout.getReader().read();
  return {
    pid: shell.pid,
    startTicks: readProcess(shell.pid)?.startTicks ?? 0,
    child: Number(new TextDecoder().decode(line)),
    mark: [`TEST_FAMILY=${value}`],
  };
}

const ways = [
  ["in one go", (ties: FamilyTies) => Promise.resolve(findFamily(ties))],
  ["in turns", findFamilyInTurns],
] as const;

describe.each(ways)("a family read %s", (_, find) => {
  const pids = async (ties: Partial<FamilyTies>): Promise<number[]> => {
    const all = {
      members: [],
      cgroupPids: [],
      mark: [],
      markedSinceTicks: 0,
      never: new Set<number>(),
      ...ties,
    };
    return (await find(all)).map(({ pid }) => pid).sort((a, b) => a - b);
  };

  test("holds a member and its descendants, or whoever carries the mark, but nobody that is never part of it", async () => {
    const { pid, startTicks, child, mark } = await family();
    expect(await pids({ members: [{ pid, startTicks }] })).toEqual([pid, child]);
    expect(await pids({ mark })).toEqual([pid, child]);
    expect(await pids({ cgroupPids: [child] })).toEqual([child]);
    expect(await pids({ mark, never: new Set([pid]) })).toEqual([child]);
    expect(await pids({})).toEqual([]);
  });

  test("is not looked for among those that were there before the mark was", async () => {
    const { pid, startTicks, child, mark } = await family();
    expect(await pids({ mark, markedSinceTicks: startTicks })).toEqual([pid, child]);
    // The next process is the first that could carry it: none of these does.
    expect(await pids({ mark, markedSinceTicks: startTicks + 1_000_000 })).toEqual([]);
  });
});
