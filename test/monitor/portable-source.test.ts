/** Hosts without /proc, and the inventory, both through systeminformation. */

import { expect, test } from "bun:test";
import { totalmem } from "node:os";
import { inventory } from "../../src/monitor/inventory.ts";
import { type HostQuestions, PortableSource } from "../../src/monitor/portable-source.ts";
import { GiB } from "./fixture-host.ts";

/** A system that answers when told to. */
function askedSystem() {
  const answers: PromiseWithResolvers<number>[] = [];
  const questions: HostQuestions = {
    mem: async () => {
      const asked = Promise.withResolvers<number>();
      answers.push(asked);
      const available = await asked.promise;
      return { total: 8 * GiB, available, swapused: GiB, swaptotal: 2 * GiB };
    },
    currentLoad: async () => ({ currentLoad: 12.5 }),
  };
  return { answers, load: async () => questions };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("nothing is told before the system answered: no answer is not a full memory", async () => {
  const { answers, load } = askedSystem();
  const source = new PortableSource(null, load);
  expect(() => source.memory()).toThrow("not asked yet");
  expect(() => source.cpu()).toThrow("not asked yet");
  const refreshed = source.refresh();
  await settled();
  answers[0]?.resolve(6 * GiB);
  await refreshed;
  expect(source.cpu()).toBe(12.5);
  expect(source.memory()).toEqual({
    usedBytes: 2 * GiB,
    budgetBytes: 8 * GiB,
    usedRatio: 0.25,
    source: "host",
    cgroup: null,
    swapUsedBytes: GiB,
    swapTotalBytes: 2 * GiB,
  });
});

test("each reading asks again, one question at a time, and tells the answer before", async () => {
  const { answers, load } = askedSystem();
  const source = new PortableSource(4 * GiB, load);
  const refreshed = source.refresh();
  await settled();
  answers[0]?.resolve(7 * GiB);
  await refreshed;
  expect(source.memory()).toMatchObject({ usedRatio: 0.25, source: "config" });
  expect(source.memory().usedRatio).toBe(0.25);
  await settled();
  expect(answers).toHaveLength(2);
  answers[1]?.resolve(5 * GiB);
  await settled();
  expect(source.memory().usedRatio).toBe(0.75);
  await settled();
  answers[2]?.resolve(5 * GiB);
});

test("an answer that fails is a reading that fails, until the next one", async () => {
  const { answers, load } = askedSystem();
  const source = new PortableSource(null, load);
  const refreshed = source.refresh();
  await settled();
  answers[0]?.reject(new Error("vm_stat: not found"));
  await refreshed;
  expect(() => source.memory()).toThrow("vm_stat: not found");
  await settled();
  answers[1]?.resolve(4 * GiB);
  await settled();
  expect(source.memory().usedRatio).toBe(0.5);
});

test("the real library answers", async () => {
  const source = new PortableSource(null);
  await source.refresh();
  const { usedRatio, budgetBytes } = source.memory();
  expect(budgetBytes).toBe(totalmem());
  expect(usedRatio).toBeGreaterThan(0);
  expect(usedRatio).toBeLessThan(1);
  expect(source.cpu()).toBeGreaterThanOrEqual(0);
});

test("the inventory names the machine", async () => {
  const found = await inventory();
  expect(found.memoryBytes).toBe(totalmem());
  expect(found.cores).toBeGreaterThan(0);
  expect(found.os).not.toBe("");
  expect(Array.isArray(found.disks)).toBe(true);
});

test("the library is loaded by nothing but a question", async () => {
  const script = `
    await import("${import.meta.dir}/../../src/monitor/portable-source.ts");
    await import("${import.meta.dir}/../../src/monitor/inventory.ts");
    await import("${import.meta.dir}/../../src/monitor/host-source.ts");
    console.log(Object.keys(require.cache).filter((path) => path.includes("systeminformation")).length);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  expect((await new Response(child.stdout).text()).trim()).toBe("0");
  expect(await child.exited).toBe(0);
});
