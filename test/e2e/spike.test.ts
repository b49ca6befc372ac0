/**
 * A burst of real requests at the compiled conductor: usual requests for as long as it takes to know what is usual (two and a
 * half minutes), then several times as many. It is left out of the suite, which a person waits for; LONG_RUNS=1 runs it.
 */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { cleanUpAfterEach } from "./clean-up.ts";
import { conductor as command } from "./one-command.ts";
import { echoFiles } from "./rogue-manifest.ts";
import { RunningConductor, until } from "./running-conductor.ts";
import { roomyBudget } from "./thresholds.ts";

const defer = cleanUpAfterEach();

/** A third of the budget is used: under the shed line, over the early line (shed less twice the margin). */
const config = `
budget: { memory: ${roomyBudget()} }
monitor: { interval: 1s }
forecast: { horizon: 1s }
plugins: { bundled: false }
scaler: { order: [web, stubs], shed: 60%, margin: 20%, restore: 10%, emergency: 95% }
`;

const usualPerSecond = 4;
const burstPerSecond = 24;
const usualMs = 165_000;
const burstMs = 40_000;

interface Decision {
  id: number;
  rule: string;
  actions: { kind: string; plugin: string }[];
}

test.skipIf(process.env.LONG_RUNS !== "1")(
  "a burst of requests sheds the first plugin before memory is short, and the record calls it a spike",
  async () => {
    const conductor = await RunningConductor.start({
      config,
      files: { ...echoFiles("web", "start: eager\n"), ...echoFiles("stubs", "start: eager\n") },
    });
    defer(() => conductor.remove());
    defer(() => conductor.kill());
    const acted = async (): Promise<Decision[]> => {
      const { decisions } = await conductor.get<{ decisions: Decision[] }>(
        "/api/v1/scaling/decisions?limit=100",
      );
      return decisions.filter(({ actions }) => actions.length > 0);
    };
    /** Yields how many were asked and how many were answered with 200. */
    const ask = async (perSecond: number, lengthMs: number, until_: () => Promise<boolean>) => {
      const endMs = performance.now() + lengthMs;
      let [asked, answered] = [0, 0];
      while (performance.now() < endMs && !(await until_())) {
        const answers = await Promise.all(
          Array.from({ length: perSecond / 2 }, (_, i) => conductor.request("stubs", asked + i)),
        );
        asked += answers.length;
        answered += answers.filter(({ status }) => status === 200).length;
        await Bun.sleep(500);
      }
      return { asked, answered };
    };

    const calm = await ask(usualPerSecond, usualMs, async () => false);
    expect(calm.answered).toBe(calm.asked);
    expect(await acted()).toEqual([]);

    const beganMs = performance.now();
    const burst = await ask(burstPerSecond, burstMs, async () => (await acted()).length > 0);
    console.log(
      `${burst.asked} requests in ${((performance.now() - beganMs) / 1_000).toFixed(0)} s after ${calm.asked} in ${usualMs / 1_000} s`,
    );
    expect(burst.answered).toBe(burst.asked);
    const [decision] = await acted();
    expect(decision).toMatchObject({ rule: "spike", actions: [{ kind: "shed", plugin: "web" }] });
    await until("web is shed", 10_000, async () => (await conductor.states()).web === "shed");
    expect((await conductor.states()).stubs).toBe("ready");
    const why = await command(["why", String(decision?.id), "--port", conductor.port], {
      cwd: conductor.folder,
      environment: { STATE_DIRECTORY: join(conductor.folder, "state") },
    });
    expect(why.out).toMatch(
      /rule "spike": suddenly many more requests than usual[\s\S]* requests a second in the last 30 s, at least twice the usual [34]\.\d[\s\S]*\n {2}requests +\d+\.\d a second/,
    );
  },
  usualMs + burstMs + 60_000,
);
