import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { draftAt, sampleAt } from "./rows.ts";
import { scratchFolder, startScript, storageAt, undoAll } from "./scratch.ts";
import { verified } from "./verified.ts";

afterEach(undoAll);

test("after SIGKILL of the writer every acknowledged row is there, and the file is sound", async () => {
  const path = join(scratchFolder(), "conductor.db");
  for (const rounds of [40, 1, 150]) {
    const { child, lines } = startScript("writer-process.ts", path, "write");
    expect((await lines.next()).value).toBe("open");
    let acknowledged = 0;
    for (let n = 0; n < rounds; n++) acknowledged = Number((await lines.next()).value);
    child.kill("SIGKILL");
    await child.exited;
    for await (const line of lines) acknowledged = Number(line);

    const storage = storageAt(path);
    expect(acknowledged).toBeGreaterThanOrEqual(rounds);
    expect(storage.decisions.byId(acknowledged)).toMatchObject({ id: acknowledged });
    const ids = storage.decisions.list({ limit: 500 }).decisions.map(({ id }) => id);
    expect(ids).toEqual(ids.map((_, index) => (ids[0] ?? 0) - index));
    expect(storage.samples.latest(1)).toHaveLength(1);
    storage.close();
    expect(verified(path).broken).toBeNull();

    const raw = new Database(path);
    expect(raw.query("PRAGMA quick_check").values()).toEqual([["ok"]]);
    raw.close();
  }
}, 30_000);

test("decisions are written with an fsync each, samples are not", () => {
  const strace = Bun.which("strace");
  if (strace === null) {
    console.error("skipped: no strace to see the fsyncs with");
    return;
  }
  const folder = scratchFolder();
  const count = (rows: string) => {
    const trace = join(folder, `${rows}.trace`);
    const script = join(import.meta.dir, "commit-process.ts");
    const run = Bun.spawnSync(
      [
        strace,
        "-f",
        "-e",
        "trace=fsync,fdatasync",
        "-o",
        trace,
        process.execPath,
        script,
        join(folder, rows),
        rows,
      ],
      { env: { ...process.env, BUN_JSC_useDFGJIT: "0" } },
    );
    if (run.exitCode !== 0) {
      console.error(`skipped: strace may not trace here (${run.stderr.toString().trim().slice(0, 200)})`);
      return null;
    }
    return Bun.spawnSync(["grep", "-cE", "(fsync|fdatasync)\\(", trace]).stdout.toString().trim();
  };
  const [none, samples, decisions] = [count("none"), count("samples"), count("decisions")];
  if (none === null || samples === null || decisions === null) return;
  // 30 rows of each over what opening and closing take; the first commit may add one for the log's header.
  expect(Number(samples) - Number(none)).toBeLessThan(5);
  expect(Number(decisions) - Number(none)).toBeGreaterThanOrEqual(30);
}, 60_000);

test("closing writes the log back, removes it, and can be done twice", () => {
  const path = join(scratchFolder(), "conductor.db");
  const storage = storageAt(path);
  storage.samples.insert(sampleAt(1));
  storage.decisions.append(draftAt(1));
  expect(existsSync(`${path}-wal`)).toBe(true);
  storage.close();
  storage.close();
  expect(existsSync(`${path}-wal`)).toBe(false);
  expect(existsSync(`${path}.pid`)).toBe(false);
  expect(storage.maintain()).toBeNull();
  expect(storageAt(path).samples.latest(5)).toEqual([sampleAt(1)]);
});
